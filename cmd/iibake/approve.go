package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func approveCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "approve", Usage: "agree to an image entering a channel", Category: categoryFleets, ArgsUsage: "IMAGE CHANNEL",
		UsageText: examples([2]string{`iibake approve web@staging production --reason "looked at it"`, "and why"}),
		Description: "It holds for this version in this channel, and lapses when the image is revoked. Who agrees is who the environment says: in CI who\n" +
			"triggered the job, otherwise the user. Where the channel has not_author, whoever baked the image or wrote its commit cannot.\n" +
			"Where the channel wants no approvals it is on record nevertheless, and counts from when it does.",
		Flags:        []cli.Flag{outputFlag(), yesFlag(), reasonFlag()},
		BashComplete: completeMove(con),
		Action: func(c *cli.Context) error {
			a, err := openApproval(c)
			if err != nil {
				return err
			}
			return a.give(con, c)
		},
	}
}

// approval is what approve is about to put on record.
type approval struct {
	*record

	img  bake.Image
	rule promote.Rule
	said promote.Approval // by whom, and why
	had  bool             // they had said so before
}

func openApproval(c *cli.Context) (approval, error) {
	args, err := operands(c, "IMAGE", "CHANNEL")
	if err != nil {
		return approval{}, err
	}
	r, p, err := openSettings(c)
	if err != nil {
		return approval{}, err
	}
	a := approval{record: r}
	if a.rule, err = rulesOf(p)("", promote.Channel(args[1])); err != nil {
		return approval{}, withSwapped(c, p, err)
	}
	if a.rule.Channel == promote.Candidate {
		return approval{}, withHint(fmt.Errorf("%w: approve: an image enters candidate by passing its tests, and nothing else", errUsage),
			"approve it for a channel that comes after candidate")
	}
	if a.img, err = r.find(c.Context, args[0]); err != nil {
		return approval{}, err
	}
	a.said = promote.Approval{
		Image: a.img.Ref, Channel: a.rule.Channel, By: actor(os.Getenv),
		At: time.Now().UTC(), Reason: c.String("reason"),
	}
	if actorOfJob(os.Getenv) == "" { // what git has there says nothing about who triggered a job
		a.said.Email = bake.ReadEmail(c.Context, p.Dir)
	}
	return a, nil
}

// give shows what is agreed to, asks, and puts the approval on record.
func (a approval) give(con *console, c *cli.Context) error {
	what := fmt.Sprintf("%s for %s", a.img.Ref, a.rule.Channel)
	if a.rule.NotAuthor && a.said.ByAuthor(a.img) {
		made := a.said.By + " made it"
		if !(promote.Approval{By: a.said.By}).ByAuthor(a.img) {
			made += " by the address that git has here, " + a.said.Email
		}
		return withHint(fmt.Errorf("approve %s: %w: %s, and %s wants somebody else to agree", what, bake.ErrRefused, made, a.rule.Channel),
			"ask somebody else to run iibake approve")
	}
	before, err := promote.NewApprovals(a.catalog).Of(c.Context, a.img, a.rule.Channel)
	if err != nil {
		return err
	}
	a.had = slices.ContainsFunc(before, func(b promote.Approval) bool { return strings.EqualFold(b.By, a.said.By) })
	if !a.had {
		if err := a.show(con, c); err != nil {
			return err
		}
		if yes, err := con.confirm(c, "approve "+what+"?"); err != nil || !yes {
			return err
		}
		if err := promote.NewApprovals(a.catalog).Record(c.Context, a.img, a.said); err != nil {
			return err
		}
	}
	return a.tell(con, c)
}

// show tells what is known of the image on standard error: standard output is for the result.
func (a approval) show(con *console, c *cli.Context) error {
	if c.Bool("yes") {
		return nil
	}
	gates, err := promote.NewGates(a.catalog).Check(c.Context, a.img, a.rule, time.Now())
	if err != nil {
		return err
	}
	p := con.paint(con.err)
	table := ui.NewTable()
	table.Row(p.Dim("image"), p.Bold(a.img.String()))
	table.Row(p.Dim("commit"), a.img.Commit+" "+p.Dim(a.img.Author))
	table.Row(p.Dim("created"), ago(time.Since(a.img.Created)))
	for _, line := range gateLines(p, gates) {
		table.Row("", line)
	}
	return table.Write(con.err, p)
}

// tell writes how far the agreement is.
func (a approval) tell(con *console, c *cli.Context) error {
	given, err := promote.NewApprovals(a.catalog).Of(c.Context, a.img, a.rule.Channel)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return con.printJSON(struct {
			Approvals []promote.Approval `json:"approvals"`
			Wanted    int                `json:"wanted"`
			Already   bool               `json:"already,omitempty"` // who approves had done so before
		}{given, a.rule.Approvals, a.had})
	}
	return con.printf("%s for %s: %s\n", a.img.Ref, a.rule.Channel, a.count(given))
}

// count says how many of those who agreed count, as the gate has it, and who they are.
func (a approval) count(given []promote.Approval) string {
	var who []string
	for _, g := range given {
		if !a.rule.NotAuthor || !g.ByAuthor(a.img) {
			who = append(who, g.By)
		}
	}
	said := "approved by " + strings.Join(who, ", ")
	if a.had {
		said = a.said.By + " has approved it already"
	}
	switch n, wanted := len(who), a.rule.Approvals; {
	case wanted == 0:
		return said + ", which is on record; the channel wants no approvals"
	case n > wanted:
		return fmt.Sprintf("%d, %d wanted: %s", n, wanted, said)
	default:
		return fmt.Sprintf("%d of %d: %s", n, wanted, said)
	}
}
