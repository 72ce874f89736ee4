package image

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// checkImageID refuses what cannot be an id of EC2, also where its form is right: 17 digits begin with a zero, and are not all zeros.
func checkImageID(id string) error {
	switch {
	case id == "":
		return wire.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	case !regexp.MustCompile(`^ami-(0[0-9a-f]{16}|[0-9a-f]{8})$`).MatchString(id), regexp.MustCompile(`^ami-0+$`).MatchString(id):
		return wire.Errorf("InvalidAMIID.Malformed", `Invalid id: "%s"`, id)
	}
	return nil
}

func imageNotFound(id string) error {
	return wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// visible reports whether an account may see and launch an image.
func visible(img *state.Image, account string) bool {
	return *img.OwnerId == account || permitted(img, account) || isPublic(img)
}

// permitted reports whether an image has been shared with an account by name.
func permitted(img *state.Image, account string) bool {
	return slices.ContainsFunc(img.Permissions, func(p ec2types.LaunchPermission) bool { return aws.ToString(p.UserId) == account })
}

func isPublic(img *state.Image) bool {
	return slices.ContainsFunc(img.Permissions, func(p ec2types.LaunchPermission) bool { return p.Group == ec2types.PermissionGroupAll })
}

// seen returns an image that the caller may use.
func seen(r *state.Region, c *wire.Call, id string) (*state.Image, error) {
	if err := checkImageID(id); err != nil {
		return nil, err
	}
	img := r.Images.Get(id)
	switch {
	case img == nil, !visible(img, c.Account):
		return nil, imageNotFound(id)
	case img.Deregistered:
		return nil, wire.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	return img, nil
}

// own returns an image of the caller's, which alone he may change or ask for details of.
func own(r *state.Region, c *wire.Call, id string) (*state.Image, error) {
	img, err := seen(r, c, id)
	if err == nil && *img.OwnerId != c.Account {
		return nil, wire.Errorf("AuthFailure", "Not authorized for image:%s", id)
	}
	return img, err
}

// dryRun returns EC2's answer to a dry run of a request that is right.
func dryRun(asked *bool) error {
	if aws.ToBool(asked) {
		return wire.ErrDryRun()
	}
	return nil
}

// change makes a change to an image of the caller's. f is called with the record to read first, and must not fail once it has called edit.
func (s *Service) change(c *wire.Call, id string, dry *bool, f func(img *state.Image, edit func() *state.Image) error) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		img, err := own(r, c, id)
		if err == nil {
			err = dryRun(dry)
		}
		if err != nil {
			return err
		}
		return f(img, func() *state.Image { return r.Images.Edit(id) })
	})
}

// snapshotSeen reports whether an account may see a snapshot and make volumes of it.
func snapshotSeen(snap *state.Snapshot, account string) bool {
	return *snap.OwnerId == account || slices.ContainsFunc(snap.Permissions, func(p ec2types.CreateVolumePermission) bool {
		return p.Group == ec2types.PermissionGroupAll || aws.ToString(p.UserId) == account
	})
}

// findSnapshot returns a snapshot that the caller may see.
func findSnapshot(r *state.Region, c *wire.Call, id string) (*state.Snapshot, error) {
	if !regexp.MustCompile(`^snap-([0-9a-f]{8}|[0-9a-f]{17})$`).MatchString(id) { // the text is inferred
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	}
	snap := r.Snapshots.Get(id)
	if snap == nil || snap.Deleted || !snapshotSeen(snap, c.Account) {
		return nil, wire.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return snap, nil
}

// ownSnapshot returns a snapshot of the caller's. That others may not change it was recorded, the error they get was not.
func ownSnapshot(r *state.Region, c *wire.Call, id string) (*state.Snapshot, error) {
	snap, err := findSnapshot(r, c, id)
	if err == nil && *snap.OwnerId != c.Account {
		e := wire.Errorf("UnauthorizedOperation", "You are not authorized to perform this operation.")
		e.Status = http.StatusForbidden
		return nil, e
	}
	return snap, err
}
