package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/promote/asg/iam"
)

func iamPolicyCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "iam-policy", Usage: "write the least IAM policy that verbs need", Category: categoryFleets, ArgsUsage: "[VERB...]",
		UsageText: examples(
			[2]string{"iibake iam-policy promote rollback", "for who moves fleets"},
			[2]string{"iibake iam-policy status", "for who looks only"}),
		Description: "VERB is " + verbList() + "; without one the policy is for all of them. watch, resume and abort need what promote needs,\n" +
			"revoke what status does, build --publish and gc --cloud what publish does. Resources are those of any region in the account that it is\n" +
			"given to: narrow them to your groups, launch templates and parameters where others live there, too. Whoever names a role_arn in iibake.yaml\n" +
			"needs sts:AssumeRole on it besides, and accounts that encrypt snapshots with a key of their own the use of that key. What the project's\n" +
			"catalog needs is in it where that is in a bucket.",
		Action: func(c *cli.Context) error {
			names, err := operands(c, "VERB...")
			if err != nil {
				return err
			}
			verbs, err := policyVerbs(names)
			if err != nil {
				return err
			}
			policy, err := iam.Policy(verbs...)
			if err != nil {
				return err
			}
			shared, err := catalogStatements(c, verbs)
			if err != nil {
				return err
			}
			policy.Statement = append(policy.Statement, shared...)
			e := json.NewEncoder(con.out)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(policy)
		},
	}
}

// policyVerbs takes verbs that carry on promotions for the one that begins them.
func policyVerbs(names []string) ([]iam.Verb, error) {
	if len(names) == 0 {
		return iam.Verbs(), nil
	}
	same := map[string]iam.Verb{
		"watch": iam.Promote, "resume": iam.Promote, "abort": iam.Promote, "revoke": iam.Status, "build": iam.Publish, "gc": iam.Publish,
	}
	verbs := make([]iam.Verb, len(names))
	for i, n := range names {
		verbs[i] = cmp.Or(same[n], iam.Verb(n))
		if !slices.Contains(iam.Verbs(), verbs[i]) {
			return nil, withHint(fmt.Errorf("%w: iam-policy %s: want %s", errUsage, n, verbList()), "what the others need is among them, or they ask nothing of AWS")
		}
	}
	return verbs, nil
}

func verbList() string {
	all := iam.Verbs()
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = string(v)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
