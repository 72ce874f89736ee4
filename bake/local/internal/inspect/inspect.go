// Package inspect reads what is in an image: its packages, the archives that it installs from, its files.
package inspect

import (
	"context"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Names of the tasks of this package.
const (
	contentTask = "inspect"
	filesTask   = "files"
)

// Content is what an image says about itself.
type Content struct {
	Packages []bake.Package // sorted by name and architecture
	Archives []bake.Archive // in the order of the image's files
}

// File is one file of an image.
type File struct {
	Path   string      `json:"path"` // absolute
	Type   Type        `json:"type"`
	Mode   uint32      `json:"mode"` // permissions, with the setuid, setgid and sticky bits as stat(2) has them
	UID    uint32      `json:"uid"`
	GID    uint32      `json:"gid"`
	Size   int64       `json:"size,omitempty"`   // bytes, of a regular file
	Time   time.Time   `json:"time"`             // of the last modification
	Target string      `json:"target,omitempty"` // of a symbolic link
	Digest bake.Digest `json:"digest,omitempty"` // of a regular file's content
}

// Type is the type of a file.
type Type string

// The types of files.
const (
	Regular Type = "file"
	Folder  Type = "folder"
	Link    Type = "link"
	Special Type = "special" // a device, a socket or a pipe
)

// Run reads what the image on root says about itself. root is mounted read-only.
func Run(ctx context.Context, root sandbox.Root) (Content, error) {
	root.ReadOnly = true
	var c Content
	err := sandbox.Run(ctx, sandbox.Job{Task: contentTask, Root: &root}, &c)
	return c, err
}

// Files lists every file of the image on root, sorted by path. root is mounted read-only.
func Files(ctx context.Context, root sandbox.Root) ([]File, error) {
	root.ReadOnly = true
	var files []File
	err := sandbox.Run(ctx, sandbox.Job{Task: filesTask, Root: &root}, &files)
	return files, err
}

// Tasks returns what this package does in a sandbox.
func Tasks() map[string]sandbox.Task {
	return map[string]sandbox.Task{contentTask: readContent, filesTask: listFiles}
}
