package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// Manifest reads a manifest and verifies it. The error wraps [ErrNotFound] or [ErrCorrupt].
func (s *Store) Manifest(ctx context.Context, d bake.Digest) (Manifest, error) {
	if err := ctx.Err(); err != nil {
		return Manifest{}, err
	}
	if _, err := bake.ParseDigest(string(d)); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	name := s.path(manifestsDir, d.Hex())
	body, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("disk %s: %w %s", d.Short(), ErrNotFound, s.dir)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest of disk %s: %w", d.Short(), err)
	}
	if bake.DigestOf(body) != d {
		return Manifest{}, fmt.Errorf("manifest of disk %s in %s: %w: bake the image again with iibake build --force, "+
			"or remove the file if nobody needs the image", d.Short(), name, ErrCorrupt)
	}
	m, err := DecodeManifest(body)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest of disk %s in %s: %w", d.Short(), name, err)
	}
	return m, nil
}

// Layer returns the manifest that was kept under a key, and counts as a use of it. The error wraps [ErrNotFound] if there is
// none that could be used.
func (s *Store) Layer(ctx context.Context, key bake.Digest) (bake.Digest, error) {
	d, err := s.layer(ctx, key)
	if err != nil {
		return "", fmt.Errorf("layer %s: %w", key.Short(), explainFull(err, s.dir, page))
	}
	return d, nil
}

func (s *Store) layer(ctx context.Context, key bake.Digest) (bake.Digest, error) {
	unlock, err := s.lock(ctx, flock.Shared)
	if err != nil {
		return "", err
	}
	defer unlock()
	d, err := s.readLayer(key)
	if err != nil {
		return "", err
	}
	_, err = s.Manifest(ctx, d)
	if errors.Is(err, ErrCorrupt) {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err) // a cache that has lost something is not an error
	}
	if err != nil {
		return "", err
	}
	now := time.Now()
	if err := os.Chtimes(s.path(layersDir, key.Hex()), now, now); err != nil {
		return "", err
	}
	return d, s.session.pin(d)
}

// readLayer reads a layer without using it. One that cannot be read is as good as none.
func (s *Store) readLayer(key bake.Digest) (bake.Digest, error) {
	if _, err := bake.ParseDigest(string(key)); err != nil {
		return "", err
	}
	body, err := os.ReadFile(s.path(layersDir, key.Hex()))
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", err
	}
	d, err := bake.ParseDigest(strings.TrimSuffix(string(body), "\n"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return d, nil
}

// SetLayer keeps a manifest of the store under a key, in place of the one that may be there.
func (s *Store) SetLayer(ctx context.Context, key, manifest bake.Digest) error {
	if err := s.setLayer(ctx, key, manifest); err != nil {
		return fmt.Errorf("set layer %s: %w", key.Short(), explainFull(err, s.dir, page))
	}
	return nil
}

func (s *Store) setLayer(ctx context.Context, key, manifest bake.Digest) error {
	if _, err := bake.ParseDigest(string(key)); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, flock.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.Manifest(ctx, manifest); err != nil {
		return err
	}
	if err := s.session.pin(manifest); err != nil {
		return err
	}
	if err := s.write(layersDir, key.Hex(), []byte(string(manifest)+"\n")); err != nil {
		return err
	}
	return s.syncDir(layersDir)
}
