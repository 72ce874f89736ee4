package provision

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// owner is the numbers of a user and a group.
type owner struct{ uid, gid int }

// account is a line of the image's passwd, or the half of it that its group file has.
type account struct {
	owner
	home string
}

// lookupOwner resolves user:group, or a user with its own group, as the image knows them.
func lookupOwner(root, text string) (owner, error) {
	user, group, hasGroup := strings.Cut(text, ":")
	if user == "" {
		user = "root"
	}
	a, found, err := lookup(root, "/etc/passwd", user)
	if err != nil {
		return owner{}, err
	}
	o := a.owner
	if !found {
		if o.uid, err = number(user); err != nil {
			return owner{}, fmt.Errorf("%w owner %q: the image has no user %s: make it in an earlier step", bake.ErrInvalid, text, user)
		}
		o.gid = o.uid
	}
	if !hasGroup || group == "" {
		return o, nil
	}
	g, found, err := lookup(root, "/etc/group", group)
	if err != nil {
		return owner{}, err
	}
	if o.gid = g.uid; !found {
		if o.gid, err = number(group); err != nil {
			return owner{}, fmt.Errorf("%w owner %q: the image has no group %s: make it in an earlier step", bake.ErrInvalid, text, group)
		}
	}
	return o, nil
}

// number reads the number of a user or a group. The largest of 32 bits means "leave it as it is" to chown, and larger ones would come round
// as those of somebody else.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n == math.MaxUint32 {
		err = strconv.ErrRange
	}
	return int(n), err
}

// lookup finds a name in passwd or group.
func lookup(root, file, name string) (account, bool, error) {
	b, err := within.ReadFile(root, file)
	if err != nil {
		return account{}, false, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != name {
			continue
		}
		id, err := strconv.Atoi(f[2])
		if err != nil {
			return account{}, false, fmt.Errorf("%s of the image: %w", file, err)
		}
		a := account{owner: owner{uid: id}}
		if len(f) == 7 {
			a.gid, err = strconv.Atoi(f[3])
			a.home = f[5]
		}
		return a, err == nil, err
	}
	return account{}, false, nil
}
