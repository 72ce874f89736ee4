package s3

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/rclone/gofakes3"
)

// maxLine bounds a line of the framing: a size with its signature, or a trailer.
const maxLine = 4 << 10

const checksumPrefix = "X-Amz-Checksum-"

// frame takes the framing of aws-chunked from a request's body, so that the library gets the content as it is, and has what the client said of
// it checked: its length, and its checksum in a header or a trailer. Current SDKs send the latter by default.
func frame(r *http.Request, key string) *refusal {
	if r.ContentLength >= 0 && r.Header.Get("Content-Length") == "" {
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	if r.Method != http.MethodPut || key == "" || r.Header.Get("X-Amz-Copy-Source") != "" || subresource(r) {
		return nil
	}
	x := exchangeOf(r.Context())
	body := &checkedBody{from: r.Body, left: r.ContentLength, exchange: x, header: r.Header}
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return &refusal{status: http.StatusLengthRequired, code: "MissingContentLength", message: "You must provide the Content-Length HTTP header."}
		}
		body.chunks, body.left = &chunkReader{from: bufio.NewReader(r.Body)}, size
		body.from = body.chunks
		r.ContentLength = size
		r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		r.Header.Del("X-Amz-Decoded-Content-Length")
	}
	if no := body.prepare(r.Header); no != nil {
		return no
	}
	if body.left == 0 { // nobody will read it
		if err := body.finish(); err != nil {
			return refusalOf(err)
		}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return nil
}

// subresource says whether a request is about something else than the content of an object or a part.
func subresource(r *http.Request) bool {
	q := r.URL.Query()
	return q.Has("tagging") || q.Has("acl") || q.Has("retention") || q.Has("legal-hold")
}

// checkedBody is a content that is compared with what was said of it, at the last byte that has been announced: the library reads no further.
type checkedBody struct {
	from     io.Reader
	chunks   *chunkReader // where there are any
	left     int64        // bytes to come; -1 if that is not known
	exchange *exchange
	header   http.Header

	algorithm string // crc32, ...; empty: nothing to compare
	sum       hash.Hash
}

// prepare finds out which checksum the client has sent or will send.
func (b *checkedBody) prepare(h http.Header) *refusal {
	name := h.Get("X-Amz-Trailer")
	if name == "" {
		for header := range h {
			if rest, ok := strings.CutPrefix(header, checksumPrefix); ok && rest != "Type" && rest != "Mode" && rest != "Algorithm" {
				name = header
			}
		}
	}
	rest, ok := strings.CutPrefix(textproto.CanonicalMIMEHeaderKey(name), checksumPrefix)
	if !ok {
		return nil
	}
	b.algorithm = strings.ToLower(rest)
	if b.sum = newSum(b.algorithm); b.sum == nil {
		return &refusal{status: http.StatusBadRequest, code: "InvalidRequest", message: "The value specified in the x-amz-trailer header is not supported"}
	}
	return nil
}

// newSum returns the hash of a checksum, or nil.
func newSum(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) // the polynomial of NVMe, reflected
	case "sha1":
		return sha1.New() //nolint:gosec // one of S3's checksums
	case "sha256":
		return sha256.New()
	}
	return nil
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	if b.left < 0 {
		if err == io.EOF {
			if bad := b.compare(b.header); bad != nil {
				return n, bad
			}
		}
		return n, err
	}
	if b.left -= int64(n); b.left < 0 {
		return n, gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, "The request body is longer than it was said to be")
	}
	if b.left == 0 && n > 0 {
		if bad := b.finish(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// finish reads what comes after the content and compares.
func (b *checkedBody) finish() error {
	claims := b.header
	if b.chunks != nil {
		trailer, err := b.chunks.end()
		if err != nil {
			return err
		}
		if b.header.Get("X-Amz-Trailer") != "" {
			claims = trailer
		}
	}
	return b.compare(claims)
}

func (b *checkedBody) compare(claims http.Header) error {
	if b.sum == nil {
		return nil
	}
	name := checksumPrefix + textproto.CanonicalMIMEHeaderKey(b.algorithm)
	want, err := base64.StdEncoding.DecodeString(claims.Get(name))
	if err != nil || len(want) != b.sum.Size() {
		return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest, "Value for x-amz-checksum-%s trailing header is invalid.", b.algorithm)
	}
	if !bytes.Equal(want, b.sum.Sum(nil)) {
		return gofakes3.ErrorMessagef(gofakes3.ErrBadDigest, "The %s you specified did not match the calculated checksum.", strings.ToUpper(b.algorithm))
	}
	b.exchange.checksums = map[string]string{name: claims.Get(name)}
	return nil
}

// refusalOf turns an error of the body into an answer.
func refusalOf(err error) *refusal {
	if e, ok := errors.AsType[gofakes3.Error](err); ok {
		return &refusal{status: e.ErrorCode().Status(), code: string(e.ErrorCode()), message: err.Error()}
	}
	return &refusal{status: http.StatusBadRequest, code: "IncompleteBody", message: err.Error()}
}

// chunkReader reads the content out of aws-chunked framing: sizes in hexadecimal with signatures that nobody checks, contents, a last chunk of
// no size, trailers.
type chunkReader struct {
	from *bufio.Reader
	left int64 // of the chunk
	last bool  // it was the last one
}

func badChunk() error {
	return gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, "The request body terminated unexpectedly, or is not framed as aws-chunked")
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.last {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.last {
			return 0, io.EOF
		}
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == nil && c.left == 0 {
		if line, bad := c.line(); bad != nil || line != "" {
			return n, badChunk()
		}
	}
	if err == io.EOF {
		return n, badChunk()
	}
	return n, err
}

// next reads the head of a chunk.
func (c *chunkReader) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || n < 0 {
		return badChunk()
	}
	c.left, c.last = n, n == 0
	return nil
}

// end reads the last chunk, which must be there, and the trailers.
func (c *chunkReader) end() (http.Header, error) {
	if !c.last {
		if c.left > 0 {
			return nil, badChunk()
		}
		if err := c.next(); err != nil {
			return nil, err
		}
		if !c.last {
			return nil, badChunk()
		}
	}
	trailer := http.Header{}
	for range 16 {
		line, err := c.line()
		if err != nil || line == "" {
			return trailer, nil //nolint:nilerr // clients end without the empty line, too
		}
		name, value, _ := strings.Cut(line, ":")
		trailer.Set(name, strings.TrimSpace(value))
	}
	return nil, badChunk()
}

// line reads a line without its end.
func (c *chunkReader) line() (string, error) {
	var line []byte
	for len(line) < maxLine {
		part, err := c.from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case len(line) > 0 && errors.Is(err, io.EOF):
			return string(line), nil
		default:
			return "", badChunk()
		}
	}
	return "", badChunk()
}
