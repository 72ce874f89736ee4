//go:build linux

package provision

// What only computes is tested without an image.

// AptCommands is [aptCommands].
var AptCommands = aptCommands

// DnfCommands is [dnfCommands].
var DnfCommands = dnfCommands

// Offline is [offline].
var Offline = offline

// Target is [target].
var Target = target

// UserMod is [userMod].
var UserMod = userMod

// OwnerIn is [lookupOwner] in the image at root, as numbers.
func OwnerIn(root, text string) (uid, gid int, err error) {
	o, err := lookupOwner(root, text)
	return o.uid, o.gid, err
}
