package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxConfiguration is how large a CreateBucketConfiguration can be.
const maxConfiguration = 64 << 10

// usEast is the region that S3 names by saying nothing.
const usEast = "us-east-1"

// refusal is an answer of our own that says no.
type refusal struct {
	status        int
	code, message string
	region        string // of the bucket, where that is the point
}

// ServeHTTP answers a request that the gateway has handed over. What the library does not know is decided here: whose bucket it is and in which
// region, what the body's framing and checksums say, and ETags of objects made of parts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := wire.CallOf(r.Context())
	if call == nil {
		refuse(w, r, &refusal{status: http.StatusForbidden, code: "AccessDenied", message: "Access Denied"})
		return
	}
	x := &exchange{account: call.Account, region: call.Region}
	r = r.Clone(context.WithValue(r.Context(), exchangeKey{}, x))
	toPath(r)
	x.conditions = takeConditions(r)
	bucket, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	answer := &writer{ResponseWriter: w, exchange: x, read: r.Method == http.MethodGet || r.Method == http.MethodHead}
	if no := s.admit(x, r, bucket); no != nil {
		refuse(w, r, no)
		return
	}
	if done := s.ownAnswer(answer, r, bucket, key); done {
		return
	}
	if no := frame(r, key); no != nil {
		refuse(w, r, no)
		return
	}
	s.inner.ServeHTTP(answer, r)
	if !answer.begun {
		answer.WriteHeader(http.StatusOK)
	}
}

// toPath makes a request that names the bucket by its host one that names it by its path.
func toPath(r *http.Request) {
	if bucket := bucketOf(r.Host); bucket != "" {
		r.URL.Path = "/" + bucket + "/" + strings.TrimPrefix(r.URL.Path, "/")
		if r.URL.RawPath != "" {
			r.URL.RawPath = "/" + bucket + "/" + strings.TrimPrefix(r.URL.RawPath, "/")
		}
	}
}

// bucketOf returns the bucket in a host name: of AWS's, or below localhost.
func bucketOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	if name, ok := strings.CutSuffix(host, ".localhost"); ok {
		name = strings.TrimSuffix("."+name, ".s3")
		return strings.TrimPrefix(name, ".")
	}
	if !strings.HasSuffix(host, ".amazonaws.com") {
		return ""
	}
	for _, sep := range []string{".s3.", ".s3-"} {
		if i := strings.LastIndex(host, sep); i > 0 {
			return host[:i]
		}
	}
	return ""
}

// admit says no to those who have no business with a bucket, or came to the wrong region.
func (s *Server) admit(x *exchange, r *http.Request, bucket string) *refusal {
	creates := r.Method == http.MethodPut && isBucket(r)
	if b, ok := s.shelf.record(bucket); ok && !creates {
		if no := permit(x, b); no != nil {
			return no
		}
	}
	source, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
	if err != nil || source == "" {
		return nil
	}
	from, _, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	if b, ok := s.shelf.record(from); ok && b.Account != x.account {
		return &refusal{status: http.StatusForbidden, code: "AccessDenied", message: "Access Denied"}
	}
	return nil
}

func permit(x *exchange, b bucketRecord) *refusal {
	switch {
	case b.Account != x.account:
		return &refusal{status: http.StatusForbidden, code: "AccessDenied", message: "Access Denied"}
	case b.Region != x.region:
		return &refusal{
			status: http.StatusMovedPermanently, code: "PermanentRedirect", region: b.Region,
			message: "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
		}
	}
	return nil
}

// isBucket says whether a request is about a bucket itself.
func isBucket(r *http.Request) bool {
	_, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	q.Del("x-id")
	return key == "" && strings.Trim(r.URL.Path, "/") != "" && len(q) == 0
}

// ownAnswer answers what the library knows too little of, and says whether it did.
func (s *Server) ownAnswer(w http.ResponseWriter, r *http.Request, bucket, key string) bool {
	x := exchangeOf(r.Context())
	b, exists := s.shelf.record(bucket)
	if exists {
		w.Header().Set("X-Amz-Bucket-Region", b.Region)
	}
	switch {
	case r.Method == http.MethodPut && isBucket(r):
		if no := place(x, r, b, exists); no != nil {
			refuse(w, r, no)
			return true
		}
		if exists { // by the same account, in the region where that is no error
			w.Header().Set("Location", "/"+bucket)
			w.WriteHeader(http.StatusOK)
			return true
		}
	case r.Method == http.MethodGet && key == "" && exists && r.URL.Query().Has("location"):
		location(w, b.Region)
		return true
	case x.conditions.noneMatch != "" && x.conditions.noneMatch != "*":
		refuse(w, r, &refusal{status: http.StatusNotImplemented, code: "NotImplemented", message: "A header you provided implies functionality that is not implemented"})
		return true
	}
	return false
}

// place checks the CreateBucketConfiguration of a request against the region of the call, and who has the name.
func place(x *exchange, r *http.Request, b bucketRecord, exists bool) *refusal {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxConfiguration))
	if err != nil {
		return &refusal{status: http.StatusBadRequest, code: "IncompleteBody", message: "You did not provide the number of bytes specified by the Content-Length HTTP header."}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		LocationConstraint string `xml:"LocationConstraint"`
	}
	if len(bytes.TrimSpace(body)) > 0 && xml.Unmarshal(body, &in) != nil {
		return &refusal{status: http.StatusBadRequest, code: "MalformedXML", message: "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	switch {
	case in.LocationConstraint == x.region && x.region != usEast, in.LocationConstraint == "" && x.region == usEast:
	case in.LocationConstraint == "":
		return &refusal{status: http.StatusBadRequest, code: "IllegalLocationConstraintException", message: "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."}
	case in.LocationConstraint == usEast && x.region == usEast:
		return &refusal{status: http.StatusBadRequest, code: "InvalidLocationConstraint", message: "The specified location-constraint is not valid"}
	default:
		return &refusal{status: http.StatusBadRequest, code: "IllegalLocationConstraintException", message: "The " + in.LocationConstraint + " location constraint is incompatible for the region specific endpoint this request was sent to."}
	}
	switch {
	case !exists:
		return nil
	case b.Account != x.account:
		return &refusal{status: http.StatusConflict, code: "BucketAlreadyExists", message: "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	case b.Region != usEast || x.region != usEast:
		return &refusal{status: http.StatusConflict, code: "BucketAlreadyOwnedByYou", message: "Your previous request to create the named bucket succeeded and you already own it."}
	}
	return nil
}

func location(w http.ResponseWriter, region string) {
	if region == usEast {
		region = ""
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header+`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`+region+`</LocationConstraint>`)
}

func refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	w.Header().Set("Content-Type", "application/xml")
	if no.region != "" {
		w.Header().Set("X-Amz-Bucket-Region", no.region)
	}
	type failure struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
		Region  string   `xml:"Region,omitempty"`
		ID      string   `xml:"RequestId,omitempty"`
	}
	id := ""
	if call := wire.CallOf(r.Context()); call != nil {
		id = call.RequestID
		w.Header().Set("X-Amz-Request-Id", id)
	}
	body, _ := xml.Marshal(failure{Code: no.code, Message: no.message, Region: no.region, ID: id})
	if r.Method == http.MethodHead {
		body = nil
	} else {
		body = append([]byte(xml.Header), body...)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(no.status)
	_, _ = w.Write(body)
}

// writer mends what the library writes.
type writer struct {
	http.ResponseWriter
	exchange *exchange
	read     bool // the request reads an object
	begun    bool
}

// WriteHeader writes the header as S3 would.
func (w *writer) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.mend()
	}
	if status == http.StatusInternalServerError && w.exchange.client {
		status = http.StatusBadRequest
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) mend() {
	h := w.Header()
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") { // which a bucket without a CORS configuration does not send
			delete(h, name)
		}
	}
	if h.Get("X-Amz-Delete-Marker") == "false" {
		h.Del("X-Amz-Delete-Marker")
	}
	if etag := h.Get("ETag"); w.read && etag != "" {
		h.Set("ETag", strings.TrimSuffix(etag, `"`)+w.exchange.suffix+`"`)
	}
	for name, value := range w.exchange.checksums {
		h.Set(name, value)
	}
}

// Write writes a part of the body. The library begins its XML before it has said that it is XML.
func (w *writer) Write(b []byte) (int, error) {
	if !w.begun {
		if bytes.HasPrefix(b, []byte("<?xml")) {
			w.Header().Set("Content-Type", "application/xml")
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.exchange.empty { // the library leaves out a count of none, on which clients rely
		end := []byte("</ListBucketResult>")
		_, err := w.ResponseWriter.Write(bytes.Replace(b, end, append([]byte("<KeyCount>0</KeyCount>"), end...), 1))
		return len(b), err
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
