package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Keys of the catalog. Numbers have leading zeros, so that they sort.
const (
	promotionsPrefix  = "promotions/"  // NAME/CHANNEL/N → Promotion
	outcomesPrefix    = "outcomes/"    // NAME/CHANNEL/N → Outcome
	rolloutsPrefix    = "rollouts/"    // NAME/CHANNEL/N/FLEET/STEP → Rollout
	approvalsPrefix   = "approvals/"   // NAME/VERSION/CHANNEL/N → Approval
	revocationsPrefix = "revocations/" // NAME/VERSION/N → Revocation
	activePrefix      = catalog.Heads + "active/"
)

func recordKey(prefix string, n int) string { return fmt.Sprintf("%s%06d", prefix, n) }

// recordNumber returns the last number in a key.
func recordNumber(key string) (int, error) {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		return 0, fmt.Errorf("record %s has no number: %w", key, err)
	}
	return n, nil
}

// recordGet returns what stands under a key, or an error wrapping [bake.ErrNotFound].
func recordGet[T any](ctx context.Context, c catalog.Catalog, key string) (T, error) {
	var v T
	body, err := c.Get(ctx, key)
	if errors.Is(err, catalog.ErrNotFound) {
		return v, fmt.Errorf("record %s: %w", key, bake.ErrNotFound)
	}
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("record %s cannot be read: %w", key, err)
	}
	return v, nil
}

// recordList returns what stands under the keys that begin with prefix, by their order.
func recordList[T any](ctx context.Context, c catalog.Catalog, prefix string) ([]T, error) {
	keys, err := c.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	list := make([]T, len(keys))
	for i, key := range keys {
		if list[i], err = recordGet[T](ctx, c, key); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// recordAppend puts what body returns under the number behind the last one that there is. Where somebody else takes that
// number first, it takes the next one.
func recordAppend(ctx context.Context, c catalog.Catalog, prefix string, body func(n int) any) error {
	for {
		n := 1
		keys, err := c.List(ctx, prefix)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if n, err = recordNumber(keys[len(keys)-1]); err != nil {
				return err
			}
			n++
		}
		b, err := json.Marshal(body(n))
		if err != nil {
			return err
		}
		if err := c.Put(ctx, recordKey(prefix, n), b); !errors.Is(err, catalog.ErrExists) {
			return err
		}
	}
}
