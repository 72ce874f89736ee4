package ebs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/disk"
)

// BenchmarkPut is an upload by 64 workers over loopback: b.N blocks of noise, none of them the same, each hashed and signed by the client as
// well, and completion. On a machine that does other work, too, the CPU time tells more than the time.
func BenchmarkPut(b *testing.B) {
	c := newCloud(b)
	server := httptest.NewServer(c.gateway)
	defer server.Close()
	config := c.config(owner, region)
	config.BaseEndpoint = &server.URL
	config.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 1 << 20}}
	client := ebs.NewFromConfig(config)
	start, err := client.StartSnapshot(b.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(64)})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(disk.BlockSize)
	b.ResetTimer()
	used := cpuTime(b)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			content := block(1)
			for {
				i := next.Add(1) - 1
				if i >= int64(b.N) {
					return
				}
				copy(content, fmt.Sprintf("%20d", i))
				if _, err := client.PutSnapshotBlock(b.Context(), putInput(*start.SnapshotId, int32(i%131072), content)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	b.ReportMetric(2*disk.BlockSize/1e6*float64(b.N)/(cpuTime(b)-used).Seconds(), "MB/s-of-2-idle-cpus")
	began := time.Now()
	c.complete(*start.SnapshotId, int32(min(b.N, 131072)), nil)
	c.clock.Advance(2 * time.Second)
	b.ReportMetric(float64(b.N)*disk.BlockSize/1e6/time.Since(began).Seconds(), "seal-MB/s")
	if got := c.describe(*start.SnapshotId); got.State != ec2types.SnapshotStateCompleted {
		b.Fatalf("%+v", got)
	}
}

// cpuTime returns what the process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
