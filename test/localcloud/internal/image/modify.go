package image

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxModification is how many entries a change of permissions may have, those that change nothing included.
const maxModification = 500

// modifyImageAttribute is ModifyImageAttribute, in its two forms: with a member for each attribute, and the old one with the attribute's name.
func (s *Service) modifyImageAttribute(_ context.Context, c *wire.Call, in *ec2.ModifyImageAttributeInput) (*ec2.ModifyImageAttributeOutput, error) {
	return &ec2.ModifyImageAttributeOutput{}, s.change(c, *in.ImageId, in.DryRun, func(img *state.Image, edit func() *state.Image) error {
		kind, err := attributeKind(in)
		if err != nil {
			return err
		}
		switch kind {
		case "description":
			value, err := newDescription(in)
			if err == nil {
				edit().Description = value
			}
			return err
		case "imdsSupport":
			if in.ImdsSupport == nil || aws.ToString(in.ImdsSupport.Value) != string(ec2types.ImdsSupportValuesV20) {
				return wire.Errorf("MissingParameter", "The request must contain the parameter imdsSupport with value v2.0")
			}
			edit().ImdsSupport = ec2types.ImdsSupportValuesV20
			return nil
		}
		return modifyPermissions(in, img, edit)
	})
}

// attributeKind returns the one attribute that a request changes.
func attributeKind(in *ec2.ModifyImageAttributeInput) (string, error) {
	var kinds []string
	if in.Description != nil || aws.ToString(in.Attribute) == "description" {
		kinds = append(kinds, "description")
	}
	if in.ImdsSupport != nil || aws.ToString(in.Attribute) == "imdsSupport" {
		kinds = append(kinds, "imdsSupport")
	}
	if p := launchChange(in); len(p.Add)+len(p.Remove) > 0 {
		kinds = append(kinds, "launchPermission")
	}
	if len(in.ProductCodes) > 0 || aws.ToString(in.Attribute) == "productCodes" {
		return "", wire.Errorf("UnsupportedOperation", "Product codes are not supported here")
	}
	switch len(kinds) {
	case 0:
		return "", wire.Errorf("InvalidParameterCombination", "No attributes specified.")
	case 1:
		return kinds[0], nil
	}
	return "", wire.Errorf("InvalidParameterCombination", "Fields for multiple attribute types specified: %s", strings.Join(kinds, ", "))
}

// newDescription takes the value of either form. An empty one removes the description, but not in the old form.
func newDescription(in *ec2.ModifyImageAttributeInput) (*string, error) {
	if in.Description != nil {
		return given(in.Description.Value), nil
	}
	if aws.ToString(in.Value) == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter description")
	}
	return in.Value, nil
}

// launchChange returns the permissions that a request adds and removes.
func launchChange(in *ec2.ModifyImageAttributeInput) ec2types.LaunchPermissionModifications {
	if in.LaunchPermission != nil {
		return *in.LaunchPermission
	}
	var entries []ec2types.LaunchPermission
	for _, id := range in.UserIds {
		entries = append(entries, ec2types.LaunchPermission{UserId: &id})
	}
	for _, group := range in.UserGroups {
		entries = append(entries, ec2types.LaunchPermission{Group: ec2types.PermissionGroup(group)})
	}
	for _, arn := range in.OrganizationArns {
		entries = append(entries, ec2types.LaunchPermission{OrganizationArn: &arn})
	}
	for _, arn := range in.OrganizationalUnitArns {
		entries = append(entries, ec2types.LaunchPermission{OrganizationalUnitArn: &arn})
	}
	if in.OperationType == ec2types.OperationTypeRemove {
		return ec2types.LaunchPermissionModifications{Remove: entries}
	}
	return ec2types.LaunchPermissionModifications{Add: entries}
}

func modifyPermissions(in *ec2.ModifyImageAttributeInput, img *state.Image, edit func() *state.Image) error {
	p := launchChange(in)
	if err := checkModification(len(p.Add) + len(p.Remove)); err != nil {
		return err
	}
	for _, e := range slices.Concat(p.Add, p.Remove) {
		if err := checkPermission(e); err != nil {
			return err
		}
	}
	if len(p.Add) > 0 && img.State == ec2types.ImageStateDisabled { // documented; the text is inferred
		return wire.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is disabled and cannot be shared", *img.ImageId)
	}
	changed := edit()
	changed.Permissions = applyChange(img.Permissions, p.Add, p.Remove, samePermission)
	changed.Public = aws.Bool(isPublic(changed))
	return nil
}

func checkModification(entries int) error {
	if entries > maxModification {
		return wire.Errorf("InvalidParameterValue", "Modification size must not be greater than %d", maxModification)
	}
	return nil
}

// checkPermission refuses what is no account, and organizations, which this cloud has none of.
func checkPermission(p ec2types.LaunchPermission) error {
	if p.OrganizationArn != nil || p.OrganizationalUnitArn != nil {
		return wire.Errorf("UnsupportedOperation", "This cloud has no organizations: share with accounts or with all")
	}
	return checkGrantee(p.UserId, p.Group)
}

func checkGrantee(user *string, group ec2types.PermissionGroup) error {
	if user != nil && !regexp.MustCompile(`^[0-9]{12}$`).MatchString(*user) {
		return wire.Errorf("InvalidAMIAttributeItemValue", `Invalid attribute item value "%s " for userId item type.`, *user)
	}
	if group != "" && group != ec2types.PermissionGroupAll { // the form is that of accounts
		return wire.Errorf("InvalidAMIAttributeItemValue", `Invalid attribute item value "%s" for group item type.`, group)
	}
	return nil
}

func samePermission(a, b ec2types.LaunchPermission) bool {
	return aws.ToString(a.UserId) == aws.ToString(b.UserId) && a.Group == b.Group
}

// applyChange returns a new list. What is there already is not added again, and what is not there is removed without complaint.
func applyChange[T any](list, add, remove []T, same func(a, b T) bool) []T {
	changed := slices.Clone(list)
	for _, e := range add {
		if !slices.ContainsFunc(changed, func(have T) bool { return same(have, e) }) {
			changed = append(changed, e)
		}
	}
	return slices.DeleteFunc(changed, func(have T) bool {
		return slices.ContainsFunc(remove, func(e T) bool { return same(have, e) })
	})
}
