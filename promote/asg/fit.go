package asg

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// fit refuses an image that the group's instance types cannot boot.
func (l *look) fit() []string {
	var all []string
	if img, ok := l.images[l.q.Artifact.AMI]; ok && !l.isRollback() && l.q.Image.Arch != "" && string(img.Architecture) != architecture(l.q.Image.Arch) {
		all = append(all, fmt.Sprintf("%s is %s, and the image %s: publish it again", l.q.Artifact.AMI, img.Architecture, l.q.Image.Arch))
	}
	for _, kind := range slices.Sorted(maps.Keys(l.types)) {
		info := l.types[kind]
		for _, ami := range l.coming() {
			all = append(all, misfit(kind, info, ami.arch, ami.mode)...)
			if ami.tpm && info.NitroTpmSupport == ec2types.NitroTpmSupportUnsupported {
				all = append(all, fmt.Sprintf("the group launches %s, which has no TPM, and the image needs one: give the group other instance types, or publish the image without", kind))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// needs is what an image asks of a machine.
type needs struct {
	arch ec2types.ArchitectureType
	mode ec2types.BootModeValues // empty: nothing
	tpm  bool
}

// coming returns what the images need that instances would be launched from.
func (l *look) coming() []needs {
	if !l.isRollback() {
		img := l.images[l.q.Artifact.AMI]
		return []needs{{ec2types.ArchitectureType(architecture(l.q.Image.Arch)), img.BootMode, img.TpmSupport != ""}}
	}
	var all []needs
	for _, m := range l.q.Moves {
		if img, ok := l.images[m.FromAMI]; ok {
			all = append(all, needs{ec2types.ArchitectureType(img.Architecture), img.BootMode, img.TpmSupport != ""})
		}
	}
	return all
}

func misfit(kind string, info ec2types.InstanceTypeInfo, arch ec2types.ArchitectureType, mode ec2types.BootModeValues) []string {
	var all []string
	if p := info.ProcessorInfo; arch != "" && p != nil && !slices.Contains(p.SupportedArchitectures, arch) {
		all = append(all, fmt.Sprintf("the group launches %s, which is %s, and the image is for %s: give the group instance types of the image's architecture, or another image",
			kind, words(p.SupportedArchitectures), arch))
	}
	wanted := ec2types.BootModeType(mode)
	if mode == ec2types.BootModeValuesUefiPreferred || mode == "" {
		return all // boots either way
	}
	if !slices.Contains(info.SupportedBootModes, wanted) && len(info.SupportedBootModes) > 0 {
		all = append(all, fmt.Sprintf("the group launches %s, which boots by %s, and the image by %s: give the group other instance types, or publish the image with another firmware",
			kind, words(info.SupportedBootModes), mode))
	}
	return all
}

func words[T ~string](list []T) string {
	var all []string
	for _, v := range list {
		all = append(all, string(v))
	}
	return strings.Join(all, " or ")
}

// architecture is what EC2 calls an architecture.
func architecture(a bake.Arch) string {
	if a == "amd64" {
		return "x86_64"
	}
	return string(a)
}

// notes says what is no reason to refuse, and worth knowing.
func (l *look) notes() []string {
	all := l.otherRoots()
	n, healthy := l.group.desired(), l.group.healthy()
	if healthy < n {
		all = append(all, fmt.Sprintf("%d of %d instances are healthy", healthy, n))
	}
	if n == 0 {
		all = append(all, "the group has no instances: what it launches later is the image, and nothing is tried now")
	}
	if least, most := span(l.s, n); n > 1 && least >= n && most <= n && l.s.Kind != promote.ReplaceRootVolume {
		all = append(all, fmt.Sprintf("min_healthy %d with max_healthy %d leaves no room: AWS has one instance more for a while", l.s.MinHealthy, l.s.MaxHealthy))
	}
	if l.s.Canary && n > 100 {
		all = append(all, fmt.Sprintf("the first checkpoint is %d instances: AWS knows whole percents", (n+99)/100))
	}
	if d := checkpointDelay(l.s); l.s.CheckpointDelay > 0 && d > l.s.CheckpointDelay {
		all = append(all, fmt.Sprintf("checkpoints last %v, so that the probes are asked at them", d))
	}
	if kind := aws.ToString(l.group.HealthCheckType); kind == "EC2" && watched(l.s, l.group) < statusTime {
		all = append(all, fmt.Sprintf("a first instance that does not boot is noticed by EC2's status checks after about %v, and the refresh goes on after %v: "+
			"set a longer warmup or checkpoint_delay, or health checks of a load balancer", statusTime, watched(l.s, l.group)))
	}
	for _, p := range l.group.SuspendedProcesses {
		if aws.ToString(p.ProcessName) == "ReplaceUnhealthy" {
			all = append(all, "process ReplaceUnhealthy is suspended: instances that fail are not replaced")
		}
	}
	return all
}

// statusTime is how long EC2 takes until status checks fail that will.
const statusTime = 3 * time.Minute

// watched returns how long the first new instances are in service before others are replaced.
func watched(s promote.Strategy, g *group) time.Duration {
	d := max(warmup(s, g), healthTime)
	if len(checkpoints(s, g.desired())) > 1 {
		d += time.Duration(checkpointDelay(s))
	}
	return d
}
