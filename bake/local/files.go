package local

import (
	"context"
	"fmt"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local/internal/inspect"
	"github.com/iibake/iibake/bake/local/internal/layout"
)

// FileChange is a file that two disks do not agree on. One side is nil where the file is missing.
type FileChange struct {
	Path string `json:"path"`
	Old  *File  `json:"old,omitempty"`
	New  *File  `json:"new,omitempty"`
}

// File is one file of an image.
type File = inspect.File

// Files lists every file on the filesystems of a disk in the store, sorted by path. It needs root, and for a moment room
// for the disk in the folder scratch.
func Files(ctx context.Context, store *disk.Store, d bake.Digest, scratch string) ([]File, error) {
	f, err := disk.Scratch(scratch)
	if err != nil {
		return nil, fmt.Errorf("files of disk %s: %w", d.Short(), err)
	}
	defer func() { _ = f.Close() }()
	if err := store.Materialise(ctx, d, f, nil); err != nil {
		return nil, fmt.Errorf("files of disk %s: %w", d.Short(), err)
	}
	root, err := layout.Filesystems(f)
	if err != nil {
		return nil, fmt.Errorf("files of disk %s: %w", d.Short(), err)
	}
	files, err := inspect.Files(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("files of disk %s: %w", d.Short(), err)
	}
	return files, nil
}

// DiffFiles returns what differs between two lists that Files returned, sorted by path: type, content, permissions, owner or
// the target of a link. Times do not count: every bake has its own.
func DiffFiles(before, after []File) []FileChange {
	var changes []FileChange
	for i, j := 0, 0; i < len(before) || j < len(after); {
		switch {
		case j == len(after) || i < len(before) && before[i].Path < after[j].Path:
			changes = append(changes, FileChange{Path: before[i].Path, Old: &before[i]})
			i++
		case i == len(before) || after[j].Path < before[i].Path:
			changes = append(changes, FileChange{Path: after[j].Path, New: &after[j]})
			j++
		default:
			if !sameFile(before[i], after[j]) {
				changes = append(changes, FileChange{Path: before[i].Path, Old: &before[i], New: &after[j]})
			}
			i, j = i+1, j+1
		}
	}
	return changes
}

func sameFile(a, b File) bool {
	a.Time = b.Time
	return a == b
}
