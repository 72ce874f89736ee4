package imds_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/imds"
)

func spec() compute.Spec {
	return compute.Spec{
		Region: "eu-west-1", Account: "111122223333", ID: "i-0123456789abcdef0", Zone: "eu-west-1b", ZoneID: "euw1-az2", Type: "t3.micro", Arch: bake.AMD64,
		Disks:     []compute.Disk{{Device: "/dev/xvda"}, {Device: "/dev/sdb"}},
		Addresses: compute.Addresses{Private: "127.1.2.3", Public: "127.1.2.3"},
		Tags:      map[string]string{"Name": "web", "team": "a b"},
		Metadata: compute.Metadata{
			Enabled: true, TokensRequired: true, Tags: true, HopLimit: 2, ImageID: "ami-0123456789abcdef0", Hostname: "ip-172-31-0-1.eu-west-1.compute.internal",
			UserData: []byte("#cloud-config\n\x00\xff"), KeyName: "mine", PublicKey: "ssh-ed25519 AAAA mine", SecurityGroups: []string{"web", "ssh"},
			LaunchIndex: 1, Reservation: "r-0123456789abcdef0", MAC: "0a:00:00:00:00:01", VPC: "vpc-1", Subnet: "subnet-1",
			SecurityGroupIDs: []string{"sg-1", "sg-2"}, SubnetBlock: "172.31.0.0/20", VPCBlock: "172.31.0.0/16", Interface: "eni-1",
		},
	}
}

// clock is the time that tokens are measured by.
type clock struct{ time.Time }

func service(change func(*compute.Spec)) (*imds.Service, *clock) {
	c := &clock{time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)}
	s := imds.New(func() time.Time { return c.Time })
	is := spec()
	if change != nil {
		change(&is)
	}
	s.Set(is, c.Time)
	return s, c
}

func ask(s http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://169.254.169.254"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const (
	ttl   = "X-aws-ec2-metadata-token-ttl-seconds"
	token = "X-aws-ec2-metadata-token"
)

func TestTokens(t *testing.T) {
	v2, now := service(nil)
	v1, _ := service(func(s *compute.Spec) { s.Metadata.TokensRequired = false })
	off, _ := service(func(s *compute.Spec) { s.Metadata.Enabled = false })
	good := ask(v2, http.MethodPut, "/latest/api/token", ttl, "60").Body.String()
	for name, c := range map[string]struct {
		service      *imds.Service
		method, path string
		header       []string
		want         int
	}{
		"token":                     {v2, http.MethodPut, "/latest/api/token", []string{ttl, "21600"}, 200},
		"shortest":                  {v2, http.MethodPut, "/latest/api/token", []string{ttl, "1"}, 200},
		"without TTL":               {v2, http.MethodPut, "/latest/api/token", nil, 400},
		"TTL of zero":               {v2, http.MethodPut, "/latest/api/token", []string{ttl, "0"}, 400},
		"TTL too long":              {v2, http.MethodPut, "/latest/api/token", []string{ttl, "21601"}, 400},
		"TTL that is no number":     {v2, http.MethodPut, "/latest/api/token", []string{ttl, "1h"}, 400},
		"by a proxy":                {v2, http.MethodPut, "/latest/api/token", []string{ttl, "60", "X-Forwarded-For", "10.0.0.1"}, 403},
		"token of the first kind":   {v1, http.MethodPut, "/latest/api/token", []string{ttl, "60"}, 200},
		"get a token":               {v2, http.MethodGet, "/latest/api/token", nil, 405},
		"put something else":        {v2, http.MethodPut, "/latest/user-data", []string{token, good}, 405},
		"post":                      {v2, http.MethodPost, "/latest/meta-data/", []string{token, good}, 405},
		"with token":                {v2, http.MethodGet, "/latest/meta-data/", []string{token, good}, 200},
		"head":                      {v2, http.MethodHead, "/latest/meta-data/instance-id", []string{token, good}, 200},
		"without token":             {v2, http.MethodGet, "/latest/meta-data/", nil, 401},
		"versions without token":    {v2, http.MethodGet, "/", nil, 401},
		"wrong token":               {v2, http.MethodGet, "/latest/meta-data/", []string{token, good[:len(good)-4] + "AAAA"}, 401},
		"no token at all":           {v2, http.MethodGet, "/latest/meta-data/", []string{token, "?"}, 401},
		"short token":               {v2, http.MethodGet, "/latest/meta-data/", []string{token, "AAAA"}, 401},
		"optional":                  {v1, http.MethodGet, "/latest/meta-data/", nil, 200},
		"optional and wrong":        {v1, http.MethodGet, "/latest/meta-data/", []string{token, good}, 401},
		"disabled":                  {off, http.MethodGet, "/latest/meta-data/", nil, 403},
		"disabled, token":           {off, http.MethodPut, "/latest/api/token", []string{ttl, "60"}, 403},
		"nothing known yet":         {imds.New(time.Now), http.MethodGet, "/latest/meta-data/", nil, 403},
		"unknown, without a token":  {v2, http.MethodGet, "/latest/nothing", nil, 401},
		"unknown, with a token":     {v2, http.MethodGet, "/latest/nothing", []string{token, good}, 404},
		"unknown version, by token": {v2, http.MethodGet, "/2009-04-05/meta-data/", []string{token, good}, 404},
	} {
		w := ask(c.service, c.method, c.path, c.header...)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
		if c.want >= 400 && !strings.Contains(w.Body.String(), "<h1>"+w.Body.String()[strings.Index(w.Body.String(), "<title>")+7:][:3]) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	now.Time = now.Add(59 * time.Second)
	if w := ask(v2, http.MethodGet, "/latest/meta-data/", token, good); w.Code != 200 || w.Header().Get(ttl) != "1" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	now.Time = now.Add(time.Second)
	if w := ask(v2, http.MethodGet, "/latest/meta-data/", token, good); w.Code != 401 {
		t.Errorf("after its end: %d", w.Code)
	}
}

func TestTree(t *testing.T) {
	s, _ := service(func(s *compute.Spec) { s.Metadata.TokensRequired = false })
	const card = "/latest/meta-data/network/interfaces/macs/0a:00:00:00:00:01/"
	for path, want := range map[string]string{
		"/latest":                              "dynamic\nmeta-data\nuser-data",
		"/2021-01-03/meta-data/instance-id":    "i-0123456789abcdef0",
		"/2009-04-04/meta-data/instance-id":    "i-0123456789abcdef0",
		"/latest/meta-data/ami-id":             "ami-0123456789abcdef0",
		"/latest/meta-data/ami-launch-index":   "1",
		"/latest/meta-data/hostname":           "ip-172-31-0-1.eu-west-1.compute.internal",
		"/latest/meta-data/local-hostname":     "ip-172-31-0-1.eu-west-1.compute.internal",
		"/latest/meta-data/instance-action":    "none",
		"/latest/meta-data/instance-type":      "t3.micro",
		"/latest/meta-data/local-ipv4":         "127.1.2.3",
		"/latest/meta-data/public-ipv4":        "127.1.2.3",
		"/latest/meta-data/mac":                "0a:00:00:00:00:01",
		"/latest/meta-data/profile":            "default-hvm",
		"/latest/meta-data/public-keys/":       "0=mine",
		"/latest/meta-data/public-keys/0":      "openssh-key",
		"/latest/meta-data/reservation-id":     "r-0123456789abcdef0",
		"/latest/meta-data/security-groups":    "web\nssh",
		"/latest/meta-data/services/":          "domain\npartition",
		"/latest/meta-data/services/partition": "aws",
		"/latest/meta-data/tags/instance":      "Name\nteam",
		"/latest/meta-data/tags/instance/team": "a b",
		"/latest/user-data":                    "#cloud-config\n\x00\xff",
		"/latest/dynamic/instance-identity/":   "document",
		card + "device-number":                 "0",
		card + "local-ipv4s":                   "127.1.2.3",
		card + "subnet-ipv4-cidr-block":        "172.31.0.0/20",
		card + "security-group-ids":            "sg-1\nsg-2",
		card + "ipv4-associations/127.1.2.3":   "127.1.2.3",

		"/latest/meta-data/events/maintenance/scheduled":    "[]",
		"/latest/meta-data/block-device-mapping/":           "ami\nebs1\nroot",
		"/latest/meta-data/block-device-mapping/ami":        "/dev/xvda",
		"/latest/meta-data/block-device-mapping/ebs1":       "sdb",
		"/latest/meta-data/public-keys/0/openssh-key":       "ssh-ed25519 AAAA mine",
		"/latest/meta-data/placement/":                      "availability-zone\navailability-zone-id\nregion",
		"/latest/meta-data/placement/availability-zone-id":  "euw1-az2",
		"/latest/meta-data/network/interfaces/macs/":        "0a:00:00:00:00:01/",
		"/latest/meta-data/network/interfaces":              "macs/",
		"/latest/meta-data/iam/":                            "404",
		"/latest/meta-data/public-hostname":                 "404",
		"/latest/meta-data/instance-id/":                    "404",
		"/latest/dynamic/instance-identity/signature":       "404",
		"/latest/meta-data/iam/security-credentials/nobody": "404",
	} {
		w := ask(s, http.MethodGet, path)
		if want == "404" && w.Code == http.StatusNotFound {
			continue
		}
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
	top := ask(s, http.MethodGet, "/latest/meta-data/").Body.String()
	if !strings.HasPrefix(top, "ami-id\nami-launch-index\nami-manifest-path\nblock-device-mapping/\nevents/\nhostname\n") {
		t.Errorf("%q", top)
	}
	if versions := ask(s, http.MethodGet, "/").Body.String(); !strings.HasPrefix(versions, "1.0\n2007-01-19\n") || !strings.HasSuffix(versions, "\nlatest") {
		t.Errorf("%q", versions)
	}
}

// crawl reads everything as cloud-init does, and counts the leaves: whatever is listed can be read.
func crawl(t *testing.T, s http.Handler, folder string) int {
	t.Helper()
	leaves := 0
	for name := range strings.SplitSeq(ask(s, http.MethodGet, folder).Body.String(), "\n") {
		name, _, key := strings.Cut(name, "=")
		if key {
			name += "/"
		}
		if strings.HasSuffix(name, "/") {
			leaves += crawl(t, s, folder+name)
			continue
		}
		if w := ask(s, http.MethodGet, folder+strings.ReplaceAll(name, " ", "%20")); w.Code != http.StatusOK {
			t.Errorf("%s%s: %d", folder, name, w.Code)
		}
		leaves++
	}
	return leaves
}

func TestWhatIsListedIsThere(t *testing.T) {
	all, _ := service(func(s *compute.Spec) { s.Metadata.TokensRequired = false })
	least, _ := service(func(s *compute.Spec) {
		*s = compute.Spec{ID: "i-1", Region: "cn-north-1", Metadata: compute.Metadata{Enabled: true}}
	})
	if n := crawl(t, all, "/latest/meta-data/"); n < 40 {
		t.Errorf("%d leaves", n)
	}
	crawl(t, least, "/latest/meta-data/")
	for path, want := range map[string]int{"/latest/user-data": 404, "/latest/meta-data/public-keys/": 404, "/latest/meta-data/tags/instance": 404} {
		if w := ask(least, http.MethodGet, path); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if got := ask(least, http.MethodGet, "/latest/meta-data/services/domain").Body.String(); got != "amazonaws.com.cn" {
		t.Error(got)
	}
}

func TestIdentity(t *testing.T) {
	s, _ := service(func(s *compute.Spec) { s.Metadata.TokensRequired, s.Arch = false, bake.ARM64 })
	w := ask(s, http.MethodGet, "/latest/dynamic/instance-identity/document")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"accountId": "111122223333", "architecture": "arm64", "availabilityZone": "eu-west-1b", "imageId": "ami-0123456789abcdef0", "kernelId": nil,
		"instanceId": "i-0123456789abcdef0", "instanceType": "t3.micro", "pendingTime": "2026-11-22T01:02:03Z", "privateIp": "127.1.2.3", "region": "eu-west-1",
	} {
		if is, ok := got[key]; !ok || is != want {
			t.Errorf("%s: %v, want %v", key, is, want)
		}
	}
	if s.HopLimit() != 2 {
		t.Error(s.HopLimit())
	}
}

func FuzzRequest(f *testing.F) {
	s, _ := service(nil)
	f.Add("GET", "/latest/meta-data/", "", "")
	f.Add("PUT", "/latest/api/token", "60", "")
	f.Fuzz(func(t *testing.T, method, path, seconds, given string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://169.254.169.254"+path, nil)
		if err != nil {
			return
		}
		r.Header.Set(ttl, seconds)
		r.Header.Set(token, given)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code == http.StatusOK && method != http.MethodPut {
			t.Errorf("%d", w.Code)
		}
	})
}
