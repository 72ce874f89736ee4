package instance

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// findImage looks the image up: it must exist, be shared with the account, and be fit for a launch.
func (p *plan) findImage(r *state.Region) error {
	id := aws.ToString(p.in.ImageId)
	hex, prefixed := strings.CutPrefix(id, "ami-")
	switch {
	case id == "":
		return wire.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	case !prefixed || len(hex) != 8 && len(hex) != 17 || strings.Trim(hex, "0123456789abcdef") != "":
		return wire.Errorf("InvalidAMIID.Malformed", `Invalid id: "%s" (expecting "ami-...")`, id)
	}
	p.image = r.Images.Get(id)
	switch {
	case p.image == nil:
		return wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	case !visible(p.image, p.account):
		return wire.Errorf("AuthFailure", "Not authorized for images: [%s]", id)
	case p.image.Deregistered, p.image.State != ec2types.ImageStateAvailable: // disabled, pending, failed
		return wire.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	return nil
}

// visible reports whether an account may launch an image.
func visible(image *state.Image, account string) bool {
	return aws.ToString(image.OwnerId) == account || aws.ToBool(image.Public) || slices.ContainsFunc(image.Permissions, func(p ec2types.LaunchPermission) bool {
		return aws.ToString(p.UserId) == account || p.Group == ec2types.PermissionGroupAll
	})
}

// checkImage compares the image with the instance type.
func (p *plan) checkImage(*state.Region) error {
	arch, name := p.image.Architecture, p.kind.Name
	switch {
	case arch != "" && !p.kind.Runs(arch):
		return wire.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the "+
			"specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use "+
			"'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", p.kind.Arch, arch)
	case p.kind.Nitro && !aws.ToBool(p.image.EnaSupport):
		return wire.Errorf("InvalidParameterCombination", "Enhanced networking with the Elastic Network Adapter (ENA) is required for the '%s' instance "+
			"type. Ensure that you are using an AMI that is enabled for ENA.", name)
	case !p.kind.Boots(p.image.BootMode):
		return wire.Errorf("InvalidParameterValue", "The instance type '%s' does not support the boot mode '%s' of the AMI '%s'.",
			name, p.image.BootMode, aws.ToString(p.image.ImageId)) // text inferred
	}
	return nil
}

// profileID returns the identifier of an instance profile, always the same for the same one.
func profileID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return base32.StdEncoding.EncodeToString(sum[:10])
}
