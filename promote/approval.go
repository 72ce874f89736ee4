package promote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Approval says that somebody agrees to one image entering one channel.
type Approval struct {
	Image   bake.Ref    `json:"image"`
	Disk    bake.Digest `json:"disk"` // of the image
	Channel Channel     `json:"channel"`
	By      string      `json:"by"`
	Email   string      `json:"email,omitempty"` // as git has it, where it does: it tells authors from others
	At      time.Time   `json:"at"`
	Reason  string      `json:"reason,omitempty"`
}

// Approvals is the view of a catalog that knows who agreed to what.
type Approvals struct {
	c           catalog.Catalog
	revocations Revocations
}

// NewApprovals returns the approvals of c.
func NewApprovals(c catalog.Catalog) Approvals { return Approvals{c, NewRevocations(c)} }

func approvalPrefix(r bake.Ref, ch Channel) string {
	return approvalsPrefix + r.Name + "/" + r.Version + "/" + string(ch) + "/"
}

// Record puts an approval. The image must not be revoked: the error wraps [bake.ErrRefused].
func (v Approvals) Record(ctx context.Context, img bake.Image, a Approval) error {
	gate, err := revokedGate(ctx, v.revocations, img)
	if err == nil {
		err = Refused([]Gate{gate})
	}
	if err == nil {
		a.Image, a.Disk = img.Ref, img.Disk
		err = recordAppend(ctx, v.c, approvalPrefix(a.Image, a.Channel), func(int) any { return a })
	}
	if err != nil {
		return fmt.Errorf("approve %s for %s: %w", img.Ref, a.Channel, err)
	}
	return nil
}

// Of returns the approvals of img for a channel that count, oldest first, one for each person: those since it, or an image that it comes
// from, was last revoked.
func (v Approvals) Of(ctx context.Context, img bake.Image, ch Channel) ([]Approval, error) {
	all, err := recordList[Approval](ctx, v.c, approvalPrefix(img.Ref, ch))
	if err != nil {
		return nil, fmt.Errorf("approvals of %s for %s: %w", img.Ref, ch, err)
	}
	since, err := v.revocations.since(ctx, img)
	if err != nil {
		return nil, err
	}
	var counting []Approval
	seen := map[string]bool{}
	for _, a := range all {
		who := strings.ToLower(a.By)
		if a.At.After(since) && a.Disk == img.Disk && !seen[who] {
			seen[who] = true
			counting = append(counting, a)
		}
	}
	return counting, nil
}

// ByAuthor reports whether who approved also baked img or wrote the commit that it was baked from. People are compared by their names
// and addresses, regardless of case: the address that GitHub gives to commits without one names the account.
func (a Approval) ByAuthor(img bake.Image) bool {
	name, address := splitAuthor(img.Author)
	account, _, _ := strings.Cut(address, "@users.noreply.")
	for _, author := range []string{img.By, name, address, account[strings.IndexByte(account, '+')+1:]} {
		if author != "" && (strings.EqualFold(author, a.By) || strings.EqualFold(author, a.Email)) {
			return true
		}
	}
	return false
}

// splitAuthor takes "Ada <ada@example.com>" apart.
func splitAuthor(author string) (name, address string) {
	name, rest, ok := strings.Cut(author, " <")
	if !ok {
		return author, ""
	}
	return name, strings.TrimSuffix(rest, ">")
}
