// Package bake is the first stage: it turns a template and a commit into a versioned machine image.
//
// The package holds the nouns of the stage ([Template], [Image], [Resolution]), the order in which images are baked
// ([Plan]), their versions and bake keys, and the interface that every way of baking satisfies ([Builder]). It knows no
// cloud, no command line and no file format; the folders below it are its adapters.
package bake

import (
	"context"
	"errors"
)

var (
	// ErrUpToDate is wrapped by the error of a [Builder] that already has an image with the template's bake key.
	ErrUpToDate = errors.New("up to date")
	// ErrNotFound is wrapped when no image answers to a reference.
	ErrNotFound = errors.New("not found")
	// ErrRefused is wrapped when a gate (hygiene, a dirty work tree) refuses to go on.
	ErrRefused = errors.New("refused")
	// ErrInvalid is wrapped when a template or a reference cannot be right, whatever the machine it is used on.
	ErrInvalid = errors.New("invalid")
)

// Builder bakes images in one particular way: on this machine, on an instance, through a Packer plugin.
type Builder interface {
	// Bake returns the image of t, recorded in the catalog, or an error wrapping ErrUpToDate together with the image
	// that already has t's key. Two calls for the same template, in whatever process, run one after the other.
	// It leaves nothing behind that is not in the image, also when ctx is cancelled or the process is killed.
	Bake(ctx context.Context, t Template, r Reporter) (Image, error)
}
