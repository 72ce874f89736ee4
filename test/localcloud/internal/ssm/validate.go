package ssm

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Resume takes up the validation of values that waited for it when the process ended.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		for _, d := range r.Drafts.Sorted() {
			s.validateIn(r, d)
		}
		return nil
	})
}

// validateIn has a draft validated in a while. It lasts from when the draft was made.
func (s *Service) validateIn(r *state.Region, d *state.ParameterDraft) {
	region, key := r.Name, draftKey(d)
	due := d.Version.Modified.Add(validation + s.windows.Window(validWindow))
	s.store.Clock().AfterFunc(due.Sub(r.Now()), func() { s.validate(region, key) })
}

// validate makes a draft a version of its parameter, or, as documented, drops it without a word where it names no image that is available to
// the account. Nothing of it is ever seen then but the gap that it leaves in the numbers.
func (s *Service) validate(region, key string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		d := r.Drafts.Get(key)
		if d == nil {
			return nil
		}
		r.Drafts.Delete(key)
		if available(r, d.Account, d.Version.Value) {
			v := d.Version
			v.Valid = r.Now()
			store(r, d.Account, d.Name, v, d.Tags)
		}
		return nil
	})
}

// available says whether an account can use an image.
func available(r *state.Region, account, id string) bool {
	image := r.Images.Get(id)
	if image == nil || image.Deregistered || image.State != ec2types.ImageStateAvailable {
		return false
	}
	if aws.ToString(image.OwnerId) == account {
		return true
	}
	for _, p := range image.Permissions {
		if aws.ToString(p.UserId) == account || p.Group == ec2types.PermissionGroupAll {
			return true
		}
	}
	return false
}
