package wire

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// How far a signature's time may be from ours, as AWS documents it.
const maxSkew = 15 * time.Minute

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	isoBasic   = "20060102T150405Z"
)

// signature is what Signature Version 4 tells of who asks what. It is not recomputed: whoever knows an access key of this cloud may use it.
type signature struct {
	key, date, region, service, end string
	signed                          time.Time
	token                           string
	valid                           time.Duration // of a presigned URL; else 0
}

// flaw says what is wrong with a signature.
type flaw struct {
	kind    refusal
	message string
}

// readSignature takes the signature of a request. It returns what it could read also where that has a flaw, so that the answer can be one
// of the service that was meant.
func readSignature(r *http.Request, query url.Values) (signature, *flaw) {
	switch {
	case r.Header.Get("Authorization") != "":
		return fromHeader(r)
	case query.Has("X-Amz-Credential") || query.Has("X-Amz-Signature") || query.Has("X-Amz-Algorithm"):
		return fromQuery(query)
	}
	return signature{}, &flaw{kind: refusedMissing}
}

func fromHeader(r *http.Request) (signature, *flaw) {
	header := r.Header.Get("Authorization")
	method, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	s, f := scope(parts["Credential"])
	s.token = r.Header.Get("X-Amz-Security-Token")
	if method != algorithm {
		return s, &flaw{refusedIncomplete, fmt.Sprintf("Unsupported AWS 'algorithm': '%s'. Supported algorithm is: %s", clip(method), algorithm)}
	}
	date, complaint := headerDate(r)
	for _, name := range []string{"SignedHeaders", "Signature", "Credential"} {
		if parts[name] == "" {
			complaint = fmt.Sprintf("Authorization header requires '%s' parameter. ", name) + complaint
		}
	}
	if complaint != "" {
		return s, &flaw{refusedIncomplete, complaint + "Authorization=" + clip(header)}
	}
	if f != nil {
		return s, f
	}
	s.signed = date
	return s, s.check(parts["SignedHeaders"], parts["Signature"])
}

// headerDate returns the time of a request, and what is wrong with it.
func headerDate(r *http.Request) (time.Time, string) {
	const none = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
	text := r.Header.Get("X-Amz-Date")
	if text != "" {
		t, err := time.Parse(isoBasic, text)
		if err != nil {
			return t, "Date must be in ISO-8601 'basic format'. Got '" + clip(text) + "'. "
		}
		return t, ""
	}
	t, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return t, none
	}
	return t.UTC(), ""
}

func fromQuery(query url.Values) (signature, *flaw) {
	s, f := scope(query.Get("X-Amz-Credential"))
	s.token = query.Get("X-Amz-Security-Token")
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query.Get(name) == "" {
			return s, &flaw{refusedIncomplete, "AWS query-string parameters must include '" + name + "'. Re-examine the query-string parameters."}
		}
	}
	if f != nil {
		return s, f
	}
	if got := query.Get("X-Amz-Algorithm"); got != algorithm {
		return s, &flaw{refusedIncomplete, fmt.Sprintf("Unsupported AWS 'algorithm': '%s'. Supported algorithm is: %s", clip(got), algorithm)}
	}
	var err error
	if s.signed, err = time.Parse(isoBasic, query.Get("X-Amz-Date")); err != nil {
		return s, &flaw{refusedIncomplete, "Date must be in ISO-8601 'basic format'. Got '" + clip(query.Get("X-Amz-Date")) + "'."}
	}
	if f := s.readExpires(query); f != nil {
		return s, f
	}
	return s, s.check(query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"))
}

// readExpires reads how long a presigned URL is valid: seconds, at most a week. Services other than S3 may leave it out.
func (s *signature) readExpires(query url.Values) *flaw {
	if !query.Has("X-Amz-Expires") {
		return nil
	}
	n, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || n < 0 || n > 604800 {
		return &flaw{refusedIncomplete, "X-Amz-Expires must be a number of seconds from 0 to 604800."}
	}
	s.valid = time.Duration(n) * time.Second
	return nil
}

// scope reads a credential: KEY/20260926/us-east-1/ec2/aws4_request.
func scope(credential string) (signature, *flaw) {
	parts := strings.Split(credential, "/")
	if len(parts) < 5 {
		return signature{}, &flaw{refusedIncomplete, "Credential must have at least 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + clip(credential) + "'"}
	}
	last := parts[len(parts)-4:]
	return signature{key: strings.Join(parts[:len(parts)-4], "/"), date: last[0], region: last[1], service: last[2], end: last[3]}, nil
}

// check looks at the form of the parts.
func (s *signature) check(signedHeaders, sum string) *flaw {
	switch {
	case s.end != terminator:
		return &flaw{refusedMismatch, fmt.Sprintf("Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, clip(s.end))}
	case s.date != s.signed.Format("20060102"):
		return &flaw{refusedMismatch, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			clip(s.date), s.signed.Format("20060102"), s.signed.Format(isoBasic))}
	case !validRegion(s.region):
		return &flaw{refusedMismatch, fmt.Sprintf("Credential should be scoped to a valid region. '%s' is not one.", clip(s.region))}
	case !strings.Contains(";"+signedHeaders+";", ";host;"):
		return &flaw{refusedMismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."}
	case len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "":
		return &flaw{refusedMismatch, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	}
	return nil
}

// fresh checks the time of a signature against the time of its clients.
func (s *signature) fresh(now time.Time) *flaw {
	window := max(maxSkew, s.valid)
	switch {
	case now.Sub(s.signed) > window:
		limit := now.Add(-window)
		return &flaw{refusedSkewed, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %.0f min.)",
			s.signed.Format(isoBasic), limit.Format(isoBasic), now.Format(isoBasic), window.Minutes())}
	case s.signed.Sub(now) > maxSkew:
		return &flaw{refusedSkewed, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %.0f min.)",
			s.signed.Format(isoBasic), now.Add(maxSkew).Format(isoBasic), now.Format(isoBasic), maxSkew.Minutes())}
	}
	return nil
}

// validRegion says whether a name has the form of a region's, such as us-gov-west-1. Which regions exist does not matter: each is a world of
// its own.
func validRegion(name string) bool {
	parts := strings.Split(name, "-")
	last := parts[len(parts)-1]
	if len(name) > 32 || len(parts) < 3 || last == "" || strings.Trim(last, "0123456789") != "" {
		return false
	}
	for _, part := range parts[:len(parts)-1] {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return true
}

// clip shortens what a client sent before an error repeats it.
func clip(s string) string {
	const most = 1024
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
