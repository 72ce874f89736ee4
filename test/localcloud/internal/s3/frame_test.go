package s3_test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/s3"
)

func crc(body string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// TestTrailers puts bodies as current SDKs frame them over TLS, where checksums come last, and in ways that are wrong.
func TestTrailers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	c := w.client(account, region)
	w.makeBucket(c)
	good := "6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:" + crc("hello world") + "\r\n\r\n"
	for name, test := range map[string]struct {
		body, length, trailer string
		status                int
		code                  string
	}{
		"good":           {good, "11", "x-amz-checksum-crc32", 200, ""},
		"signed":         {strings.NewReplacer("6\r", "6;chunk-signature=ab\r", "0\r", "0;chunk-signature=cd\r").Replace(good), "11", "x-amz-checksum-crc32", 200, ""},
		"no trailer":     {"b\r\nhello world\r\n0\r\n\r\n", "11", "", 200, ""},
		"empty":          {"0\r\nx-amz-checksum-crc32:" + crc("") + "\r\n\r\n", "0", "x-amz-checksum-crc32", 200, ""},
		"wrong checksum": {strings.Replace(good, "world", "World", 1), "11", "x-amz-checksum-crc32", 400, "BadDigest"},
		"wrong, empty":   {"0\r\nx-amz-checksum-crc32:" + crc("x") + "\r\n\r\n", "0", "x-amz-checksum-crc32", 400, "BadDigest"},
		"lost checksum":  {"b\r\nhello world\r\n0\r\n\r\n", "11", "x-amz-checksum-crc32", 400, "InvalidRequest"},
		"too short":      {"5\r\nhello\r\n0\r\n\r\n", "11", "", 400, "IncompleteBody"},
		"too long":       {"c\r\nhello world!\r\n0\r\n\r\n", "11", "", 400, "IncompleteBody"},
		"cut":            {"b\r\nhello", "11", "", 400, "IncompleteBody"},
		"no chunks":      {"hello world", "11", "", 400, "IncompleteBody"},
		"odd algorithm":  {good, "11", "x-amz-checksum-md4", 400, "InvalidRequest"},
		"no length":      {good, "", "x-amz-checksum-crc32", 411, "MissingContentLength"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := strings.ReplaceAll(name, " ", "-")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/"+bucket+"/"+key, strings.NewReader(test.body))
			w.must(err)
			sign(r)
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
			for header, value := range map[string]string{"X-Amz-Decoded-Content-Length": test.length, "X-Amz-Trailer": test.trailer, "Content-Encoding": "aws-chunked"} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			resp, err := http.DefaultClient.Do(r)
			w.must(err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			w.must(err)
			if resp.StatusCode != test.status || !strings.Contains(string(body), test.code) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, test.status, test.code)
			}
			if test.status == 200 && test.length == "11" {
				if got := w.get(c, key); got != "hello world" {
					t.Errorf("it is %q", got)
				}
			}
		})
	}
}

// sign gives a request the form of a signature.
func sign(r *http.Request) {
	now := nowText()
	r.Header.Set("X-Amz-Date", now)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA"+account+"/"+now[:8]+"/"+region+"/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
}

// FuzzChunks reads any body as aws-chunked: it ends, and gives nothing but what is in the body.
func FuzzChunks(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\n\r\n")
	f.Add("5;chunk-signature=ab\r\nhello\r\n0;x\r\nx-amz-checksum-crc32:AAAA\r\n\r\n")
	f.Add("ffffffffffffffff\r\n")
	f.Add("-1\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := io.ReadAll(s3.NewChunkReader(bufio.NewReader(strings.NewReader(body))))
		if len(got) > len(body) {
			t.Errorf("%d bytes out of %d", len(got), len(body))
		}
		if err == nil && !strings.Contains(body, "0") {
			t.Errorf("%q has no last chunk", body)
		}
	})
}

func nowText() string { return time.Now().UTC().Format("20060102T150405Z") }
