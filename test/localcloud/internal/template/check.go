package template

import (
	"encoding/base64"
	"reflect"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// ssmPrefix begins an image id that is the value of an SSM parameter at launch.
const ssmPrefix = "resolve:ssm:"

func checkName(name string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`).MatchString(name) {
		return wire.Errorf("InvalidLaunchTemplateName.MalformedException",
			"A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	return nil
}

// checkPresent returns the error of a template without any data.
func checkPresent(data *ec2types.RequestLaunchTemplateData) error {
	if data == nil || empty(reflect.ValueOf(data)) {
		return wire.Errorf("MissingParameter", "No launch template data was provided. Launch template data is required to create a launch template.")
	}
	return nil
}

// maxUserData is the limit of user data before base64, in bytes [documented].
const maxUserData = 16384

// checkData returns the errors that are not mere warnings, in EC2's order.
func checkData(data *ec2types.RequestLaunchTemplateData) error {
	if data == nil {
		return nil
	}
	if id := aws.ToString(data.ImageId); id != "" && !strings.HasPrefix(id, ssmPrefix) {
		if hex, ok := strings.CutPrefix(id, "ami-"); !ok || !isHex(hex) {
			return wire.Errorf("InvalidAMIID.Malformed", "The image ID '%s' is not valid. The expected format is ami-xxxxxxxx or ami-xxxxxxxxxxxxxxxxx.", id)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(data.UserData))
	if err != nil {
		return wire.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if len(raw) > maxUserData {
		return wire.Errorf("InvalidUserData.Malformed", "User data is limited to %d bytes", maxUserData) // code inferred
	}
	if m := data.MetadataOptions; m != nil && m.HttpPutResponseHopLimit != nil && (*m.HttpPutResponseHopLimit < 1 || *m.HttpPutResponseHopLimit > 64) {
		return wire.Errorf("InvalidParameterValue",
			"A value of ‘%d’ is not valid for http-put-response-hop-limit. Specify a value between 1 and 64, and try again.", *m.HttpPutResponseHopLimit)
	}
	return nil
}

// warn returns what is wrong with data that is accepted all the same, or nil.
func (s *Service) warn(r *state.Region, account string, data *ec2types.ResponseLaunchTemplateData) *ec2types.ValidationWarning {
	var all []ec2types.ValidationError
	add := func(code, text string) {
		all = append(all, ec2types.ValidationError{Code: &code, Message: &text})
	}
	if t := string(data.InstanceType); t != "" && s.types.Get(t) == nil {
		add("InvalidInstanceType", "The following supplied instance types do not exist: ["+t+"]")
	}
	var groups []string
	for _, n := range data.NetworkInterfaces {
		groups = append(groups, n.Groups...)
	}
	if len(data.NetworkInterfaces) > 0 && len(data.SecurityGroupIds) > 0 {
		add("InvalidParameterCombination", "If you specify a network interface, you must specify all security groups as part of the network interface.")
	}
	for _, id := range groups { // only those of interfaces are looked up
		if g := r.SecurityGroups.Get(id); g == nil || aws.ToString(g.OwnerId) != account {
			add("InvalidSecurityGroupID.NotFound", "The security group '"+id+"' does not exist")
		}
	}
	if all == nil {
		return nil
	}
	return &ec2types.ValidationWarning{Errors: all}
}
