package instance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// limits are what a volume of a type can be; without iops it has none to choose [documented].
type limits struct {
	least, most         int32 // GiB
	fewIops, manyIops   int32
	iopsPerGiB          int32
	fewMiBps, manyMiBps int32
}

func limitsOf(t ec2types.VolumeType) (l limits, known bool) {
	switch t {
	case ec2types.VolumeTypeGp2:
		return limits{least: 1, most: 16384}, true
	case ec2types.VolumeTypeGp3:
		return limits{least: 1, most: 65536, fewIops: 3000, manyIops: 80000, iopsPerGiB: 500, fewMiBps: 125, manyMiBps: 2000}, true
	case ec2types.VolumeTypeIo1:
		return limits{least: 4, most: 16384, fewIops: 100, manyIops: 64000, iopsPerGiB: 50}, true
	case ec2types.VolumeTypeIo2:
		return limits{least: 4, most: 65536, fewIops: 100, manyIops: 256000, iopsPerGiB: 1000}, true
	case ec2types.VolumeTypeSt1, ec2types.VolumeTypeSc1:
		return limits{least: 125, most: 16384}, true
	case ec2types.VolumeTypeStandard:
		return limits{least: 1, most: 1024}, true
	}
	return limits{}, false
}

// checkIops refuses figures that a request gives for a volume whose type does not take them.
func checkIops(t ec2types.VolumeType, iops *int32) error {
	if l, known := limitsOf(t); known && l.manyIops == 0 && iops != nil {
		return wire.Errorf("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", t)
	}
	return nil
}

// checkLimits compares a volume that is filled in with what its type can be.
func checkLimits(e *ec2types.EbsBlockDevice) error {
	l, known := limitsOf(e.VolumeType)
	if !known {
		return wire.Errorf("InvalidParameterValue", "Unsupported volume type '%s'.", e.VolumeType)
	}
	size := *e.VolumeSize
	switch {
	case size < l.least:
		return wire.Errorf("InvalidParameterValue", "Volume of %dGiB is too small for volume type %s; minimum is %dGiB", size, e.VolumeType, l.least)
	case size > l.most:
		return wire.Errorf("InvalidParameterValue", "Volume of %dGiB is too large for volume type %s; maximum is %dGiB", size, e.VolumeType, l.most)
	case l.manyMiBps == 0 && e.Throughput != nil:
		return wire.Errorf("InvalidParameterCombination", "throughput can only be specified for volumeType gp3.")
	}
	if l.manyIops > 0 {
		return l.checkFigures(size, aws.ToInt32(e.Iops), e.Throughput)
	}
	return nil
}

func (l limits) checkFigures(size, iops int32, throughput *int32) error {
	baseline := l.manyMiBps > 0 && iops == l.fewIops // what a gp3 volume of any size has
	switch {
	case iops < l.fewIops:
		return wire.Errorf("InvalidParameterValue", "Volume iops of %d is too low; minimum is %d.", iops, l.fewIops)
	case iops > l.manyIops:
		return wire.Errorf("InvalidParameterValue", "Volume iops of %d is too high; maximum is %d.", iops, l.manyIops)
	case !baseline && iops > size*l.iopsPerGiB:
		return wire.Errorf("InvalidParameterValue", "Iops to volume size ratio of %f is too high; maximum is %d", float64(iops)/float64(size), l.iopsPerGiB)
	case throughput == nil:
		return nil
	case *throughput < l.fewMiBps || *throughput > l.manyMiBps: // text inferred
		return wire.Errorf("InvalidParameterValue", "Volume throughput of %d is out of range: it is from %d to %d MiB/s.", *throughput, l.fewMiBps, l.manyMiBps)
	case 4**throughput > iops: // a quarter of a MiB/s for each; text inferred
		return wire.Errorf("InvalidParameterValue", "Throughput (MiBps) to iops ratio of %f is too high; maximum is 0.250000", float64(*throughput)/float64(iops))
	}
	return nil
}
