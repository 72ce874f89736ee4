package bake

import "time"

// Artifact is an image that exists as an AMI in one region of one account. It says what was made, and when; whether it is still there
// only the account knows.
type Artifact struct {
	Image    Ref       `json:"image"`
	Disk     Digest    `json:"disk"`
	Endpoint string    `json:"endpoint,omitempty"` // of what speaks AWS without being it; empty for AWS
	Account  string    `json:"account"`            // the owner's twelve digits
	Region   string    `json:"region"`
	AMI      string    `json:"ami"`
	Snapshot string    `json:"snapshot"` // of the root volume
	At       time.Time `json:"at"`
}
