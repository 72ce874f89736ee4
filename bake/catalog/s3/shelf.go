package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// shelf is a folder with objects that were read, each under its name and ETag: no two objects of a catalog have the same. An empty one keeps nothing. A
// file is the digest of the object, a newline and the object. That a file cannot be read or written is no error: the bucket has it.
type shelf struct{ dir string }

func (s shelf) path(b *bucket, name, etag string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{b.name, b.prefix, name, etag}, "\n")))
	id := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, id[:2], id)
}

// get returns an object that was listed, or nil.
func (s shelf) get(b *bucket, l listed) *object {
	if s.dir == "" || l.etag == "" {
		return nil
	}
	path := s.path(b, l.name, l.etag)
	file, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	digest, body, _ := strings.Cut(string(file), "\n")
	if digest != digestOf([]byte(body)) || int64(len(body)) != l.size {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // it is in use
	return &object{[]byte(body), l.etag}
}

// put keeps an object.
func (s shelf) put(b *bucket, name string, o *object) {
	if s.dir == "" || o.etag == "" {
		return
	}
	path := s.path(b, name, o.etag)
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return
	}
	_, err = f.Write(append([]byte(digestOf(o.body)+"\n"), o.body...))
	if f.Close() != nil || err != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name())
	}
}
