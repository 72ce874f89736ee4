// Package s3 is Amazon S3 with conditional writes: rclone's S3 server speaks the protocol, and a store of its own keeps the objects, in memory or in
// a folder, where a process that is killed leaves every object either as it was or as it was to be.
//
// Buckets have an owner and a region, and one name in all accounts, as on AWS. Versions of objects, access control lists and policies are not
// modelled: requests for them are refused.
package s3

import (
	"fmt"
	"net/http"
	"time"

	"github.com/rclone/gofakes3"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// Config is what a Server needs.
type Config struct {
	Dir   string      // where buckets are kept, which is made where it is not there; empty: in memory
	Clock clock.Clock // of the cloud
}

// Server is S3 in all regions: an http.Handler of requests whose caller the gateway has found.
type Server struct {
	shelf *shelf
	inner http.Handler
}

// New returns a server of the buckets in c.Dir. What an upload that was under way has left there is removed. Nobody else may use the folder
// at the same time.
func New(c Config) (*Server, error) {
	kept, err := openVault(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	sh, err := openShelf(kept, c.Clock)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	lib := gofakes3.New(backend{sh}, gofakes3.WithTimeSource(times{c.Clock}), gofakes3.WithTimeSkewLimit(0), gofakes3.WithUploadOwner(ownerOf))
	return &Server{shelf: sh, inner: lib.Server()}, nil
}

// Buckets returns the names of all buckets that there are, sorted.
func (s *Server) Buckets() []string { return s.shelf.names() }

// times is the cloud's clock as the library wants it.
type times struct{ clock clock.Clock }

// Now returns the cloud's time.
func (t times) Now() time.Time { return t.clock.Now() }

// Since returns how long ago at was.
func (t times) Since(at time.Time) time.Duration { return t.clock.Now().Sub(at) }
