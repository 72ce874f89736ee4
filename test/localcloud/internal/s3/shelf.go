package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rclone/gofakes3"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// shelf is the buckets with what is in them, and the contents in a vault. One lock makes conditional writes atomic; it is never held while a client
// sends or gets a content.
type shelf struct {
	vault vault
	clock clock.Clock

	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[gofakes3.UploadID]*upload
}

// bucket is a bucket. Its objects are read when they are first needed.
type bucket struct {
	bucketRecord
	objects map[string]*object // by key; nil until they are read
	keys    []string           // sorted
}

// bucketRecord is what is kept of a bucket.
type bucketRecord struct {
	Name    string    `json:"name"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Created time.Time `json:"created"`
}

// object is what is kept of an object. It is never changed, only replaced.
type object struct {
	Key      string            `json:"key"`
	ETag     string            `json:"etag"` // without quotes
	Size     int64             `json:"size"`
	Modified time.Time         `json:"modified"`
	Metadata map[string]string `json:"metadata,omitempty"` // headers
	Parts    []int64           `json:"parts,omitempty"`    // sizes, of a multipart upload
}

// The names of contents: bucket/NAME, object/BUCKET/HASH, part/UPLOAD/UUID.
const (
	bucketsName = "bucket"
	objectsName = "object"
	partName    = "part"
)

func objectName(bucket, key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return objectsName + "/" + bucket + "/" + name[:2] + "/" + name
}

func openShelf(v vault, c clock.Clock) (*shelf, error) {
	s := &shelf{vault: v, clock: c, buckets: map[string]*bucket{}, uploads: map[gofakes3.UploadID]*upload{}}
	if err := v.remove(partName); err != nil { // of uploads that ended with the process
		return nil, err
	}
	err := v.labels(bucketsName, func(name string, label []byte) error {
		b := &bucket{}
		if err := json.Unmarshal(label, &b.bucketRecord); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.buckets[b.Name] = b
		return nil
	})
	return s, err
}

func (s *shelf) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.buckets {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// record returns what is kept of a bucket, if it is there.
func (s *shelf) record(name string) (bucketRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return bucketRecord{}, false
	}
	return b.bucketRecord, true
}

// bucket returns a bucket with its objects. The lock is held.
func (s *shelf) bucket(name string) (*bucket, error) {
	b := s.buckets[name]
	if b == nil {
		return nil, gofakes3.BucketNotFound(name)
	}
	if b.objects != nil {
		return b, nil
	}
	objects := map[string]*object{}
	err := s.vault.labels(objectsName+"/"+name, func(name string, label []byte) error {
		o := &object{}
		if err := json.Unmarshal(label, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		objects[o.Key] = o
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.objects = objects
	for key := range objects {
		b.keys = append(b.keys, key)
	}
	slices.Sort(b.keys)
	return b, nil
}

// addBucket makes a bucket, whose name nobody has.
func (s *shelf) addBucket(r bucketRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[r.Name] != nil {
		return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, r.Name)
	}
	if err := s.vault.remove(objectsName + "/" + r.Name); err != nil { // what a deletion that was cut short has left
		return err
	}
	d, err := s.vault.create()
	if err != nil {
		return err
	}
	defer d.discard()
	label, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := d.keep(bucketsName+"/"+r.Name, label); err != nil {
		return err
	}
	s.buckets[r.Name] = &bucket{bucketRecord: r, objects: map[string]*object{}}
	return nil
}

func (s *shelf) dropBucket(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	switch {
	case err != nil:
		return err
	case len(b.objects) > 0:
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	if err := s.vault.remove(bucketsName + "/" + name); err != nil {
		return err
	}
	delete(s.buckets, name)
	return s.vault.remove(objectsName + "/" + name)
}

// store makes a draft an object, if the conditions of the request allow it.
func (s *shelf) store(name string, o *object, d draft, c conditions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	if err := c.check(b.objects[o.Key]); err != nil {
		return err
	}
	label, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := d.keep(objectName(name, o.Key), label); err != nil {
		return err
	}
	if b.objects[o.Key] == nil {
		i, _ := slices.BinarySearch(b.keys, o.Key)
		b.keys = slices.Insert(b.keys, i, o.Key)
	}
	b.objects[o.Key] = o
	return nil
}

// drop removes an object, if the conditions of the request allow it. It is fine if there is none.
func (s *shelf) drop(name, key string, c conditions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	o := b.objects[key]
	if o == nil {
		return nil
	}
	if err := c.check(o); err != nil {
		return err
	}
	if err := s.vault.remove(objectName(name, key)); err != nil {
		return err
	}
	delete(b.objects, key)
	i, _ := slices.BinarySearch(b.keys, key)
	b.keys = slices.Delete(b.keys, i, i+1)
	return nil
}

// find returns an object, with its content if it is wanted.
func (s *shelf) find(name, key string, wanted bool) (*object, content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return nil, content{}, err
	}
	o := b.objects[key]
	if o == nil {
		return nil, content{}, noKey()
	}
	if !wanted {
		return o, content{}, nil
	}
	c, err := s.vault.open(objectName(name, key))
	return o, c, err
}

// list returns a page of the objects of a bucket.
func (s *shelf) list(name string, p gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return nil, err
	}
	out := gofakes3.NewObjectList()
	i, found := slices.BinarySearch(b.keys, max(page.Marker, p.Prefix))
	if found && page.Marker >= p.Prefix && page.Marker != "" {
		i++
	}
	n, last := int64(0), ""
	for i < len(b.keys) && strings.HasPrefix(b.keys[i], p.Prefix) {
		key, next := b.keys[i], i+1
		group, isGroup := rollUp(key, p)
		if isGroup {
			next = i + sort.Search(len(b.keys)-i, func(j int) bool { return b.keys[i+j] > group && !strings.HasPrefix(b.keys[i+j], group) })
		}
		if isGroup && group <= page.Marker { // listed on the page before
			i = next
			continue
		}
		if page.MaxKeys > 0 && n == page.MaxKeys {
			out.IsTruncated, out.NextMarker = true, last
			return out, nil
		}
		n, i, last = n+1, next, key
		if isGroup {
			out.AddPrefix(group)
			last = group
			continue
		}
		o := b.objects[key]
		out.Add(&gofakes3.Content{
			Key: key, LastModified: gofakes3.NewContentTime(o.Modified), ETag: quoted(o.ETag), Size: o.Size, StorageClass: gofakes3.StorageStandard,
		})
	}
	return out, nil
}

// rollUp returns the common prefix that stands for a key in a listing with a delimiter.
func rollUp(key string, p gofakes3.Prefix) (string, bool) {
	if !p.HasDelimiter || p.Delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(p.Prefix):], p.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(p.Prefix)+i+len(p.Delimiter)], true
}

func quoted(etag string) string { return `"` + etag + `"` }

// fill reads a whole content into a draft. A size below zero is not known beforehand.
func fill(d io.Writer, from io.Reader, size int64) (int64, error) {
	n, err := io.Copy(d, from)
	if err == nil && size >= 0 && n != size {
		err = gofakes3.ErrIncompleteBody
	}
	return n, err
}
