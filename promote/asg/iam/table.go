package iam

// Resources, in all regions and in the account that the policy is of. Snapshots and images have no account in their ARNs.
const (
	anySnapshot  = "arn:aws:ec2:*::snapshot/*"
	anyImage     = "arn:aws:ec2:*::image/*"
	anyTemplate  = "arn:aws:ec2:*:*:launch-template/*"
	anyGroup     = "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*"
	anyParameter = "arn:aws:ssm:*:*:parameter/*"
	anyRole      = "arn:aws:iam::*:role/*"
	anyKey       = "arn:aws:kms:*:*:key/*"
)

// launched is what a launch template may have tags for.
func launched() []string {
	var all []string
	for _, kind := range []string{"instance", "volume", "network-interface", "spot-instances-request"} {
		all = append(all, "arn:aws:ec2:*:*:"+kind+"/*")
	}
	return all
}

// on returns permissions for actions on some resources.
func on(resources []string, actions ...string) []Permission {
	all := make([]Permission, len(actions))
	for i, a := range actions {
		all[i] = Permission{Action: a, On: resources}
	}
	return all
}

// where bounds permissions by a condition.
func where(operator, key, value string, permissions []Permission) []Permission {
	for i := range permissions {
		permissions[i].when = map[string]map[string]string{operator: {key: value}}
	}
	return permissions
}

// seldom are permissions that an ordinary run does not use.
func seldom(why string, permissions ...Permission) []Permission {
	for i := range permissions {
		permissions[i].Uncalled = why
	}
	return permissions
}

func together(lists ...[]Permission) []Permission {
	var all []Permission
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// uploads is the disk of an image as a snapshot, by EBS direct.
func uploads() part {
	return part{"Upload", together(
		on([]string{anySnapshot}, "ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"),
		on(nil, "ec2:DescribeSnapshots", "ec2:GetEbsEncryptionByDefault"),
		seldom("removes what a run that died has begun", on([]string{anySnapshot}, "ec2:DeleteSnapshot")...),
	)}
}

func registers() part {
	return part{"Register", together(
		on(nil, "ec2:DescribeImages"),
		on([]string{anyImage, anySnapshot}, "ec2:RegisterImage"),
		seldom("EC2 asks for it where something is tagged as it is made", on([]string{anyImage, anySnapshot}, "ec2:CreateTags")...),
		seldom("only with publish.deprecate_after", on([]string{anyImage}, "ec2:EnableImageDeprecation")...),
		seldom("removes an image that came out wrong", on([]string{anyImage}, "ec2:DeregisterImage")...),
	)}
}

// shares is an image in other regions and accounts.
func shares() part {
	return part{"Share", together(
		seldom("only with targets in several regions", on([]string{anyImage, anySnapshot}, "ec2:CopyImage")...),
		seldom("only where a region encrypts by default", on(nil, "ec2:GetEbsDefaultKmsKeyId")...),
		seldom("only with targets in several accounts", together(
			on([]string{anyImage}, "ec2:ModifyImageAttribute"), on([]string{anySnapshot}, "ec2:ModifySnapshotAttribute"),
		)...),
	)}
}

// looks is what a preflight asks for, and who watches a rollout.
func looks() part {
	return part{"Look", together(
		on(nil, "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes",
			"ec2:DescribeLaunchTemplateVersions", "ec2:DescribeImages", "ec2:DescribeInstanceTypes"),
		seldom("only where the group does not tell the images of its instances", on(nil, "ec2:DescribeInstances")...),
		seldom("only with alarms", on(nil, "cloudwatch:DescribeAlarms")...),
		seldom("EC2 asks for it where a launch template has its image from a parameter", on([]string{anyParameter}, "ssm:GetParameters")...),
	)}
}

// stages makes launch template versions.
func stages() part {
	return part{"Stage", together(
		on([]string{anyTemplate}, "ec2:CreateLaunchTemplateVersion", "ec2:CreateTags"),
		seldom("only with --pin", on([]string{anyGroup}, "autoscaling:UpdateAutoScalingGroup")...),
	)}
}

func refreshes() part {
	return part{"Refresh", together(
		on([]string{anyGroup}, "autoscaling:StartInstanceRefresh", "autoscaling:CreateOrUpdateTags"),
		seldom("only on the way back", on([]string{anyGroup}, "autoscaling:RollbackInstanceRefresh", "autoscaling:CancelInstanceRefresh")...),
	)}
}

// launches is what Auto Scaling wants of who gives a group a launch template: that he could launch from it himself, with the tags and the role
// that it has.
func launches() part {
	return part{"Launch", seldom("Auto Scaling asks for it where a group is given a launch template", together(
		on(nil, "ec2:RunInstances"),
		where("StringEquals", "ec2:CreateAction", "RunInstances", on(launched(), "ec2:CreateTags")),
		where("StringEquals", "iam:PassedToService", "ec2.amazonaws.com", on([]string{anyRole}, "iam:PassRole")),
	)...)}
}

// encrypts is what EBS wants of who writes or copies snapshots that a key of the account's own encrypts. The key's policy has to allow it, too.
func encrypts() part {
	return part{"Encrypt", seldom("only where EBS encrypts by a key of the account's own", together(
		on([]string{anyKey}, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
		where("Bool", "kms:GrantIsForAWSResource", "true", on([]string{anyKey}, "kms:CreateGrant")),
	)...)}
}

// aliases is the SSM parameter of a channel.
func aliases() part {
	return part{"Alias", on([]string{anyParameter}, "ssm:GetParameter", "ssm:PutParameter")}
}

// surveys is what is asked for about many groups at once.
func surveys() part {
	return part{"Survey", together(
		on(nil, "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes", "ec2:DescribeInstances", "ec2:DescribeImages",
			"ec2:DescribeLaunchTemplates"),
		seldom("only where groups use several versions or aliases", on(nil, "ec2:DescribeLaunchTemplateVersions")...),
		seldom("only with channels that have a parameter", on([]string{anyParameter}, "ssm:GetParameters")...),
	)}
}
