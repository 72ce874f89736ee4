package localcloud_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/admin"
)

const account = "111122223333"

// simulated returns a cloud without machines that the test closes.
func simulated(t testing.TB, c localcloud.Config) *localcloud.Cloud {
	t.Helper()
	c.Simulate = true
	cloud, err := localcloud.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return cloud
}

// config returns what a client of the cloud is made with.
func config(c *localcloud.Cloud) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://localhost"), HTTPClient: c.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(account, "x", ""), RetryMaxAttempts: 1,
	}
}

func whoAmI(ctx context.Context, c aws.Config) (string, error) {
	out, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Account), nil
}

// touch leaves something in the cloud.
func touch(t *testing.T, c *localcloud.Cloud) {
	t.Helper()
	_, err := ssm.NewFromConfig(config(c)).PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("/touched"), Value: aws.String("yes"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// adminOf returns a client of the cloud's administration.
func adminOf(c *localcloud.Cloud) admin.Client {
	return admin.Client{Endpoint: "http://127.0.0.1", HTTP: c.Client()}
}

// The same handlers answer in the process and on a socket.
func TestServe(t *testing.T) {
	cloud := simulated(t, localcloud.Config{})
	if who, err := whoAmI(t.Context(), config(cloud)); err != nil || who != account {
		t.Errorf("in the process: %s %v", who, err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- cloud.Serve(ctx, l) }()
	c := config(cloud)
	c.HTTPClient, c.BaseEndpoint = nil, aws.String("http://"+l.Addr().String())
	if who, err := whoAmI(t.Context(), c); err != nil || who != account {
		t.Errorf("on a socket: %s %v", who, err)
	}
	if err := (admin.Client{Endpoint: *c.BaseEndpoint}).Health(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := whoAmI(t.Context(), c); err == nil {
		t.Error("it still answers")
	}
}

// Every handler fits the model of its operation.
func TestHandlersFitTheirModels(t *testing.T) {
	if err := simulated(t, localcloud.Config{}).CheckHandlers(); err != nil {
		t.Error(err)
	}
}

func TestAccounts(t *testing.T) {
	c := config(simulated(t, localcloud.Config{Accounts: map[string]string{"AKIDADA": "000000000042"}}))
	c.Credentials = credentials.NewStaticCredentialsProvider("AKIDADA", "x", "")
	if who, err := whoAmI(t.Context(), c); err != nil || who != "000000000042" {
		t.Errorf("%s %v", who, err)
	}
}

func TestAdvance(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cloud := simulated(t, localcloud.Config{Start: start})
	if err := cloud.Advance(time.Hour); err != nil || !cloud.Now().Equal(start.Add(time.Hour)) {
		t.Errorf("%v %v", cloud.Now(), err)
	}
	now, err := adminOf(cloud).Advance(t.Context(), 90*time.Second)
	if err != nil || !now.Equal(start.Add(time.Hour+90*time.Second)) {
		t.Errorf("%v %v", now, err)
	}
}

// A clock with a speed moves by itself, and one at full speed an hour in no time, while somebody asks.
func TestSpeeds(t *testing.T) {
	for _, speed := range []float64{3600, localcloud.Fast} {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		cloud := simulated(t, localcloud.Config{Start: start, Speed: speed})
		for cloud.Now().Before(start.Add(time.Hour)) {
			if _, err := whoAmI(t.Context(), config(cloud)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The time of a simulation does not go back when it is started again.
func TestTimeGoesOn(t *testing.T) {
	dir := t.TempDir()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first := simulated(t, localcloud.Config{Dir: dir, Start: start})
	if err := first.Advance(48 * time.Hour); err != nil {
		t.Fatal(err)
	}
	touch(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if again := simulated(t, localcloud.Config{Dir: dir, Start: start}); again.Now().Before(start.Add(48 * time.Hour)) {
		t.Errorf("it is %s again", again.Now())
	}
}

func TestReset(t *testing.T) {
	for name, dir := range map[string]string{"on disk": t.TempDir(), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			cloud := simulated(t, localcloud.Config{Dir: dir})
			touch(t, cloud)
			if len(cloud.Leaked()) == 0 {
				t.Fatal("nothing to forget")
			}
			if err := adminOf(cloud).Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left := cloud.Leaked(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			touch(t, cloud) // it goes on
		})
	}
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	if err := localcloud.Forget(dir); err != nil || !localcloud.IsNew(dir) {
		t.Errorf("nothing to forget: %v", err)
	}
	cloud := simulated(t, localcloud.Config{Dir: dir})
	touch(t, cloud)
	if err := cloud.Close(); err != nil || localcloud.IsNew(dir) {
		t.Fatal(err)
	}
	if err := localcloud.Forget(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestClosed(t *testing.T) {
	cloud := simulated(t, localcloud.Config{})
	client := adminOf(cloud)
	if err := errors.Join(cloud.Close(), cloud.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t.Context(), config(cloud)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a service: %v", err)
	}
	for name, err := range map[string]error{
		"reset": client.Reset(t.Context()), "advance": cloud.Advance(1), "faults": client.SetFaults(t.Context(), nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.Status(t.Context()); err == nil {
		t.Error("it has a status")
	}
	if _, _, err := client.Console(t.Context(), "i-1"); err == nil {
		t.Error("it has a console")
	}
	if cloud.Leaked() != nil || !cloud.Now().IsZero() {
		t.Error("it has a state")
	}
}

func TestNewRefuses(t *testing.T) {
	used, simulation, broken := t.TempDir(), t.TempDir(), t.TempDir()
	simulated(t, localcloud.Config{Dir: used})
	if err := simulated(t, localcloud.Config{Dir: simulation}).Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	for _, name := range []string{file, filepath.Join(broken, "cloud.json")} {
		if err := os.WriteFile(name, []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		config localcloud.Config
		want   error
		text   string
	}{
		{"another process", localcloud.Config{Dir: used, Simulate: true}, localcloud.ErrInUse, used},
		{"machines where there was a simulation", localcloud.Config{Dir: simulation}, localcloud.ErrOtherCloud, "simulated instances"},
		{"another store", localcloud.Config{Dir: simulation, Simulate: true, Blocks: broken}, localcloud.ErrOtherCloud, broken},
		{"a file", localcloud.Config{Dir: file, Simulate: true}, nil, file},
		{"below a file", localcloud.Config{Dir: filepath.Join(file, "x"), Simulate: true}, nil, file},
		{"a broken identity", localcloud.Config{Dir: broken, Simulate: true}, localcloud.ErrDamaged, broken},
		{"a store below a file", localcloud.Config{Simulate: true, Blocks: filepath.Join(file, "x")}, nil, file},
		{"broken faults", localcloud.Config{Simulate: true, Faults: localcloud.Document{Name: "f.yaml", Text: []byte("rules: 1")}}, bake.ErrInvalid, "f.yaml:1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := localcloud.New(c.config)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	cloud := simulated(t, localcloud.Config{})
	client := adminOf(cloud)
	rule := "version: 1\nrules:\n- match: { operation: GetCallerIdentity }\n  do: { fail: unavailable }\n"
	if err := client.SetFaults(t.Context(), []byte(rule)); err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t.Context(), config(cloud)); err == nil {
		t.Error("it did not fail")
	}
	if err := client.SetFaults(t.Context(), []byte("version: 9")); err == nil || !strings.Contains(err.Error(), "faults:1:") {
		t.Errorf("got %v", err)
	}
	if err := client.SetFaults(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t.Context(), config(cloud)); err != nil {
		t.Error(err)
	}
}

// An image of the store becomes an AMI, whose blocks no collection takes until the cloud forgets it, in whatever way.
func TestImport(t *testing.T) {
	for name, forget := range map[string]func(*localcloud.Cloud, string) error{
		"reset":  func(c *localcloud.Cloud, _ string) error { return c.Reset() },
		"forget": func(c *localcloud.Cloud, dir string) error { return errors.Join(c.Close(), localcloud.Forget(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			blocks, dir := t.TempDir(), t.TempDir()
			digest := storeDisk(t, blocks)
			cloud := simulated(t, localcloud.Config{Dir: dir, Blocks: blocks})
			img := admin.Image{Region: "eu-west-1", Account: account, Name: "web", Disk: digest, Arch: bake.AMD64}
			id, err := adminOf(cloud).Import(t.Context(), img)
			if err != nil || !strings.HasPrefix(id, "ami-") {
				t.Fatal(id, err)
			}
			if _, err := adminOf(cloud).Import(t.Context(), img); err == nil || !strings.Contains(err.Error(), "already in use") {
				t.Errorf("twice: %v", err)
			}
			img.Name, img.Disk = "other", bake.DigestOf([]byte("nothing"))
			if _, err := adminOf(cloud).Import(t.Context(), img); err == nil || !strings.Contains(err.Error(), "not in the store") {
				t.Errorf("without a disk: %v", err)
			}
			if n := collectable(t, blocks); n != 0 {
				t.Errorf("%d blocks of the image can be collected", n)
			}
			ok(t, forget(cloud, dir))
			if n := collectable(t, blocks); n != 1 {
				t.Errorf("%d blocks can be collected after the cloud has forgotten its image, want 1", n)
			}
		})
	}
}

func storeDisk(t *testing.T, dir string) bake.Digest {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	ok(t, err)
	defer func() { _ = f.Close() }()
	_, err = f.WriteString("a disk")
	ok(t, errors.Join(err, f.Truncate(int64(8*bake.MiB))))
	store, err := disk.Open(dir)
	ok(t, err)
	digest, err := store.Import(t.Context(), f, "", nil)
	ok(t, errors.Join(err, store.Close()))
	return digest
}

// collectable returns how many blocks of a store nobody holds.
func collectable(t *testing.T, dir string) int {
	t.Helper()
	store, err := disk.Open(dir)
	ok(t, err)
	found, err := store.Collect(t.Context(), nil, 0, true)
	ok(t, errors.Join(err, store.Close()))
	return found.Blocks
}

// Nobody but this host may ask for the administration: no other host, and no page in a browser.
func TestOnlyThisHost(t *testing.T) {
	cloud := simulated(t, localcloud.Config{})
	for _, c := range []struct {
		name, method, url string
		header            [2]string
		want              int
	}{
		{"an address", "GET", "http://127.0.0.1:4580/_iibake/health", [2]string{}, 200},
		{"another address", "GET", "http://[::1]/_iibake/health", [2]string{}, 200},
		{"a name", "GET", "http://localhost:4580/_iibake/health", [2]string{}, 200},
		{"another name for this host", "GET", "http://evil.example:4580/_iibake/health", [2]string{}, 403},
		{"a page of another site", "POST", "http://127.0.0.1/_iibake/reset", [2]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"an old browser", "POST", "http://127.0.0.1/_iibake/reset", [2]string{"Origin", "http://evil.example"}, 403},
		{"nothing there", "GET", "http://127.0.0.1/_iibake/what", [2]string{}, 404},
		{"another method", "GET", "http://127.0.0.1/_iibake/reset", [2]string{}, 404},
		{"no time", "POST", "http://127.0.0.1/_iibake/clock?advance=soon", [2]string{}, 400},
		{"back in time", "POST", "http://127.0.0.1/_iibake/clock?advance=-1s", [2]string{}, 400},
		{"no such instance", "GET", "http://127.0.0.1/_iibake/console?instance=i-1", [2]string{}, 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header[0] != "" {
			req.Header.Set(c.header[0], c.header[1])
		}
		resp, err := cloud.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d", c.name, resp.StatusCode, c.want)
		}
	}
}

// A client that gives up does not wait, and one whose answer is lost gets an error.
func TestInProcessClient(t *testing.T) {
	cloud := simulated(t, localcloud.Config{Faults: localcloud.Document{Name: "f", Text: []byte(
		"version: 1\nrules:\n- match: { operation: GetCallerIdentity, nth: 1 }\n  do: { hang: before }\n- match: { operation: GetCallerIdentity, nth: 1 }\n  do: { lose: true }\n")}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := whoAmI(ctx, config(cloud)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	if _, err := whoAmI(t.Context(), config(cloud)); err == nil {
		t.Error("the answer was not lost")
	}
	if _, err := whoAmI(t.Context(), config(cloud)); err != nil {
		t.Error(err)
	}
}
