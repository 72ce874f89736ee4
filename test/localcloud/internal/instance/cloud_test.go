package instance_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

type cloud struct {
	*ec2test.Cloud
	service *instance.Service
	driver  *ec2test.Driver
}

func newCloud(t ec2test.TB) *cloud {
	t.Helper()
	c := &cloud{}
	c.Cloud = ec2test.New(t, func(store *state.Store, svc *wire.Service) {
		c.service = instance.New(store)
		c.service.Register(svc)
		c.driver = &ec2test.Driver{Clock: store.Clock(), Observer: c.service}
		c.service.Attach(c.driver)
	})
	return c
}

// launch runs one instance of a new image.
func (c *cloud) launch(t testing.TB, edit func(*ec2.RunInstancesInput)) *ec2types.Instance {
	t.Helper()
	in := &ec2.RunInstancesInput{ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	if edit != nil {
		edit(in)
	}
	out, err := c.Client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &out.Instances[0]
}

// running launches an instance and waits until it runs.
func (c *cloud) running(t testing.TB, edit func(*ec2.RunInstancesInput)) string {
	t.Helper()
	id := *c.launch(t, edit).InstanceId
	c.Clock.Advance(5 * time.Second)
	return id
}

func (c *cloud) get(t testing.TB, id string) *ec2types.Instance {
	t.Helper()
	out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return &out.Reservations[0].Instances[0]
}

func (c *cloud) stateOf(t testing.TB, id string) ec2types.InstanceStateName {
	t.Helper()
	return c.get(t, id).State.Name
}

func disks(m ...ec2types.BlockDeviceMapping) func(*ec2.RunInstancesInput) {
	return func(in *ec2.RunInstancesInput) { in.BlockDeviceMappings = m }
}

func instanceTags(key, value string) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: "instance", Tags: []ec2types.Tag{{Key: &key, Value: &value}}}}
}
