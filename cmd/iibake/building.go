package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// judge boots an image and judges it; see [test.Judge].
type judge func(ctx context.Context, img bake.Image, t bake.Template, r bake.Reporter) (test.Verdict, error)

// one takes one template as far as it gets: baked, tested, candidate. The plan calls it once for each template, so that
// nobody else writes to its result.
func (b *building) one(ctx context.Context, t bake.Template) error {
	started := time.Now()
	res := b.result(t.Name)
	err := b.advance(ctx, t, res)
	res.Seconds = time.Since(started).Round(time.Millisecond).Seconds()
	if err != nil {
		res.Error = err.Error()
	}
	return err
}

// advance holds a lock of its own around the one of the builder: baking, testing and nominating belong together, and a second
// build that comes in between would test the same image again.
func (b *building) advance(ctx context.Context, t bake.Template, res *result) error {
	unlock, err := local.Lock(ctx, b.r.buildLock(t.Name), t.Name, b.rep)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := b.r.images.Latest(ctx, t.Name)
	if err != nil && !errors.Is(err, bake.ErrNotFound) {
		return err
	}
	img, err := b.builder.Bake(ctx, t, b.rep)
	res.take(img)
	switch {
	case errors.Is(err, bake.ErrUpToDate):
		res.Status = upToDate
	case err != nil && ctx.Err() != nil:
		res.Status = interrupted
		return inStage(errBake, err)
	case err != nil:
		res.Status = failed
		return inStage(errBake, err)
	default:
		res.Status = baked
		if err := b.compare(ctx, before, img, res); err != nil {
			return err
		}
	}
	return b.prove(ctx, t, img, res)
}

// compare finds the packages that changed since the image before.
func (b *building) compare(ctx context.Context, before, now bake.Image, res *result) error {
	if before.Version == "" {
		return nil
	}
	res.Previous = before.Version
	old, errOld := b.r.images.Packages(ctx, before)
	list, errNew := b.r.images.Packages(ctx, now)
	res.Packages = bake.DiffPackages(old, list)
	return errors.Join(errOld, errNew)
}

// prove tests an image, unless it passed the same tests before, and makes it the candidate if it passes.
func (b *building) prove(ctx context.Context, t bake.Template, img bake.Image, res *result) error {
	if b.skipTest {
		verdict, err := b.r.verdict(ctx, img.Ref)
		res.Verdict = verdict
		return err
	}
	proven, err := b.proven(ctx, t, img)
	if err != nil {
		return err
	}
	if !proven {
		if err := b.test(ctx, t, img, res); err != nil {
			return err
		}
	}
	res.Verdict = passed
	if err := b.nominate(ctx, img); err != nil || b.publish == nil || len(t.Publish.Targets) == 0 {
		return err
	}
	found, err := b.publish(ctx, img, t.Publish.Targets)
	res.Artifacts = publishedOf(found)
	return err
}

// proven reports whether the last verdict on img is that it passed, by the tests that t has now.
func (b *building) proven(ctx context.Context, t bake.Template, img bake.Image) (bool, error) {
	key, err := test.Key(t)
	if err != nil {
		return false, err
	}
	v, err := b.r.verdicts.Latest(ctx, img.Ref)
	if errors.Is(err, bake.ErrNotFound) {
		return false, nil
	}
	return err == nil && v.Passed() && v.Tests == key, err
}

func (b *building) test(ctx context.Context, t bake.Template, img bake.Image, res *result) error {
	v, err := b.judge(ctx, img, t, b.rep)
	if err != nil {
		return inStage(errTest, err)
	}
	res.verdict = &v
	if err := b.r.verdicts.Record(ctx, v); err != nil {
		return err
	}
	if !v.Passed() {
		res.Verdict = failed
		return inStage(errTest, notPassed(v))
	}
	return nil
}

// nominate moves the channel candidate to img, unless a gate objects: it, or what it was baked from, was revoked.
func (b *building) nominate(ctx context.Context, img bake.Image) error {
	p := promote.Promotion{Channel: promote.Candidate, To: img.Ref, By: actor(os.Getenv), At: time.Now().UTC()}
	gates, err := promote.NewGates(b.r.catalog).Check(ctx, img, promote.Rule{Channel: promote.Candidate}, p.At)
	if err == nil {
		err = promote.Refused(gates) // also where the channel holds it: who builds wants to know
	}
	if err != nil {
		return withHint(fmt.Errorf("%s@%s: %w", img.Ref, promote.Candidate, err), "change the template, or build --refresh for newer packages and parents: the image must become another one")
	}
	from, err := b.r.channels.Get(ctx, img.Name, promote.Candidate)
	switch {
	case errors.Is(err, bake.ErrNotFound):
	case err != nil:
		return err
	case from == img.Ref:
		return nil
	default:
		p.From = &from
	}
	_, err = b.r.channels.Move(ctx, p)
	return err
}

// actor names who is at work: in CI who triggered the job, under sudo who called it, otherwise the user.
func actor(getenv func(string) string) string {
	if who := actorOfJob(getenv); who != "" {
		return who
	}
	if who := firstSet(getenv, "SUDO_USER", "USER", "LOGNAME"); who != "" {
		return who
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// actorOfJob names who triggered the job of a CI system, and is empty outside of one.
func actorOfJob(getenv func(string) string) string {
	return firstSet(getenv, "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME")
}

// firstSet returns the value of the first variable that has one.
func firstSet(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return value
		}
	}
	return ""
}
