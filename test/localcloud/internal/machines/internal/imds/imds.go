// Package imds is the instance metadata service: what a guest of EC2 finds at 169.254.169.254. Texts and statuses are those that the EC2 user guide
// documents and that clients, cloud-init above all, rely on.
//
// Left out: credentials of an instance profile (404, as without one), and the signatures of the identity document (404): nobody but
// AWS can sign for AWS.
package imds

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

const (
	tokenPath   = "/latest/api/token"        //nolint:gosec // a path
	tokenHeader = "X-Aws-Ec2-Metadata-Token" //nolint:gosec // the name of a header
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

// Service is the metadata service of one instance. It is safe for concurrent use.
type Service struct {
	now    func() time.Time
	tokens *signer

	mu       sync.Mutex
	spec     compute.Spec
	launched time.Time
}

// New returns a service that knows nothing of its instance yet, and answers so.
func New(now func() time.Time) *Service { return &Service{now: now, tokens: newSigner()} }

// Set says what to serve. The spec is not changed by anybody afterwards.
func (s *Service) Set(spec compute.Spec, launched time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec, s.launched = spec, launched
}

// HopLimit returns how many routers the answer with a token may pass.
func (s *Service) HopLimit() int {
	spec, _ := s.get()
	return max(1, spec.Metadata.HopLimit)
}

func (s *Service) get() (compute.Spec, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec, s.launched
}

// ServeHTTP answers a guest.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "EC2ws")
	w.Header().Set("Connection", "close")
	spec, launched := s.get()
	switch {
	case !spec.Metadata.Enabled:
		refuse(w, http.StatusForbidden)
	case r.Method == http.MethodPut && r.URL.Path == tokenPath:
		s.giveToken(w, r)
	case r.URL.Path == tokenPath || r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "OPTIONS, "+map[bool]string{true: "PUT", false: "GET, HEAD"}[r.URL.Path == tokenPath])
		refuse(w, http.StatusMethodNotAllowed)
	case !s.admit(w, r, spec.Metadata.TokensRequired):
		refuse(w, http.StatusUnauthorized)
	default:
		serve(w, r, newTree(spec, launched))
	}
}

const (
	shortest, longest = 1, 21600 // seconds that a token is good for
)

// giveToken answers the request for a token. One that has come through a proxy gets none: it may have been sent by somebody outside.
func (s *Service) giveToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Forwarded-For") != "" {
		refuse(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < shortest || ttl > longest {
		refuse(w, http.StatusBadRequest)
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	text(w, s.tokens.sign(s.now().Add(time.Duration(ttl)*time.Second)))
}

// admit looks at the token of a request. A wrong one is refused also where none would do.
func (s *Service) admit(w http.ResponseWriter, r *http.Request, required bool) bool {
	token := r.Header.Get(tokenHeader)
	if token == "" {
		return !required
	}
	left := s.tokens.verify(token).Sub(s.now())
	if left <= 0 {
		return false
	}
	w.Header().Set(ttlHeader, strconv.Itoa(int(left.Seconds())))
	return true
}

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body))
}

// refuse answers with the page that EC2 has for a status.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	title := fmt.Sprintf("%d - %s", status, http.StatusText(status))
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>%s</title>
 </head>
 <body>
  <h1>%s</h1>
 </body>
</html>
`, title, title)
}

// serve answers with a leaf or the names in a folder, which need no slash at the end.
func serve(w http.ResponseWriter, r *http.Request, t tree) {
	version, path, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	if version == "" {
		text(w, strings.Join(versions(), "\n"))
		return
	}
	leaf, isLeaf := t.leaves[path]
	names := t.list(path)
	switch {
	case !slices.Contains(versions(), version):
		refuse(w, http.StatusNotFound)
	case isLeaf && !strings.HasSuffix(r.URL.Path, "/"):
		text(w, leaf)
	case len(names) > 0:
		text(w, strings.Join(names, "\n"))
	default:
		refuse(w, http.StatusNotFound)
	}
}

// versions lists those that clients ask for. All serve the same tree, whereas EC2's older ones lack what came later.
func versions() []string {
	return strings.Fields(`1.0 2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 2008-09-01 2009-04-04 2011-01-01 2011-05-01
		2012-01-12 2014-02-25 2014-11-05 2015-10-20 2016-04-19 2016-06-30 2016-09-02 2018-03-28 2018-08-17 2018-09-24 2019-10-01 2020-08-24
		2020-10-27 2021-01-03 2021-03-23 2021-07-15 2022-09-24 2024-04-11 latest`)
}

// tree is what is served, by path without the version.
type tree struct {
	leaves map[string]string
	key    string // name of the SSH key
}

// list returns the names in a folder; those of folders end with a slash, keys are shown with the names of their values.
func (t tree) list(folder string) []string {
	if folder != "" {
		folder += "/"
	}
	found := map[string]bool{}
	for path := range t.leaves {
		rest, ok := strings.CutPrefix(path, folder)
		if !ok || rest == "" {
			continue
		}
		name, _, more := strings.Cut(rest, "/")
		switch {
		case folder == keysFolder+"/":
			name += "=" + t.key
		case more && folder != "": // the topmost folders are shown without
			name += "/"
		}
		found[name] = true
	}
	return slices.Sorted(maps.Keys(found))
}
