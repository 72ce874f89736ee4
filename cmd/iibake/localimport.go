package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/admin"
)

func localImportCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "register an image of the catalog as an AMI, and print its id", ArgsUsage: "IMAGE",
		Description: "Where the cloud has its blocks in the store of this project, it takes no time and no room. Otherwise the disk is copied.",
		Flags: []cli.Flag{
			stateFlag(), outputFlag(), regionFlag(), accountFlag(),
			&cli.StringFlag{Name: "name", Usage: "call the AMI `NAME`", DefaultText: "name and version of the image"},
		},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			r, img, err := findImage(c)
			if err != nil {
				return err
			}
			_, client, err := findCloud(c)
			if err != nil {
				return err
			}
			digest, err := r.giveDisk(c.Context, con, client, img)
			if err != nil {
				return err
			}
			name := c.String("name")
			if name == "" {
				name = img.Name + "-" + img.Version
			}
			id, err := client.Import(c.Context, admin.Image{
				Region: c.String("region"), Account: c.String("account"), Name: name, Disk: digest, Arch: img.Arch,
				Tags: map[string]string{"Name": img.Name, "iibake:image": img.String()},
			})
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(map[string]string{"id": id, "name": name})
			}
			return con.printf("%s\n", id)
		},
	}
}

// giveDisk copies the disk of an image to the store of the cloud, unless it is the same store, and returns its digest there.
func (r *record) giveDisk(ctx context.Context, con *console, client admin.Client, img bake.Image) (bake.Digest, error) {
	status, err := client.Status(ctx)
	if err != nil || status.Store == r.storeDir {
		return img.Disk, err
	}
	rep, err := con.reporter("", img.Name)
	if err != nil {
		return "", err
	}
	defer rep.Close()
	file, err := recorded{r, img}.open(ctx, rep)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	store, err := disk.Open(status.Store)
	if err != nil {
		return "", err
	}
	task := bake.StartTask(rep, img.Name, "copy to the local cloud", nil)
	digest, err := store.Import(ctx, file, "", task.Progress)
	return digest, task.End(errors.Join(err, store.Close()))
}
