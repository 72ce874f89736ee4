package ebs

import (
	"crypto/sha256"
	"fmt"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// VolumeKey returns the ARN of the KMS key that encrypts what an account has encrypted without naming one.
func VolumeKey(r *state.Region, account string) string {
	if settings := r.Settings.Get(account); settings != nil && settings.VolumeKey != "" {
		return settings.VolumeKey
	}
	b := sha256.Sum256([]byte("alias/aws/ebs " + r.Name + " " + account))
	return fmt.Sprintf("arn:aws:kms:%s:%s:key/%x-%x-%x-%x-%x", r.Name, account, b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
