package ebs

import (
	"net/http"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Reasons of the service's errors.
const (
	badBlock     = "INVALID_BLOCK"
	badToken     = "INVALID_BLOCK_TOKEN"
	badPage      = "INVALID_PAGE_TOKEN"
	badParameter = "INVALID_PARAMETER_VALUE"
	badSnapshot  = "INVALID_SNAPSHOT_ID"
	badSize      = "INVALID_VOLUME_SIZE"
	badTag       = "INVALID_TAG"
	unrelated    = "UNRELATED_SNAPSHOTS"
)

func invalid(reason, format string, args ...any) *wire.Error {
	e := wire.Errorf("ValidationException", format, args...)
	e.Reason = reason
	return e
}

func notFound(id string) *wire.Error {
	e := wire.Errorf("ResourceNotFoundException", "The snapshot '%s' does not exist.", id)
	e.Status, e.Reason = http.StatusNotFound, "SNAPSHOT_NOT_FOUND"
	return e
}

func conflict() *wire.Error {
	e := wire.Errorf("ConflictException", "Current request does not match request stored with this token.")
	e.Status = http.StatusConflict
	return e
}

func checksumMismatch(computed, expected string) *wire.Error {
	e := wire.Errorf("InvalidSignatureException",
		"The value passed in as x-amz-Checksum does not match the computed checksum. Computed checksum: %s expected checksum: %s", computed, expected)
	e.Status = http.StatusForbidden
	return e
}

// owned returns a snapshot of the caller's account.
func owned(r *state.Region, c *wire.Call, id string) (*state.Snapshot, error) {
	snap := r.Snapshots.Get(id)
	if snap == nil || snap.Deleted || *snap.OwnerId != c.Account {
		return nil, notFound(id)
	}
	return snap, nil
}

// readable returns a snapshot whose blocks the caller can read: his own, or one that he was given access to by name. Those of everybody
// are refused, also where the caller has been named as well.
func readable(r *state.Region, c *wire.Call, id string) (*state.Snapshot, error) {
	snap := r.Snapshots.Get(id)
	if snap == nil || snap.Deleted || snap.State != ec2types.SnapshotStateCompleted || c.Time.Before(snap.ReadableAt) {
		return nil, notFound(id)
	}
	return snap, allowed(snap, c)
}

func allowed(snap *state.Snapshot, c *wire.Call) error {
	if *snap.OwnerId == c.Account {
		return nil
	}
	var named bool
	for _, p := range snap.Permissions {
		if p.Group == ec2types.PermissionGroupAll {
			return invalid(badSnapshot, "Public snapshots are not supported")
		}
		named = named || p.UserId != nil && *p.UserId == c.Account
	}
	if !named {
		return notFound(*snap.SnapshotId)
	}
	return nil
}
