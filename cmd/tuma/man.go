package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan returns the command that writes the man pages of all commands. It is hidden from the help:
// only people that build packages use the command.
func newMan(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages",
		Long:    "Man writes one man page for each command into DIR, which must exist. The date in\nthe pages is $SOURCE_DATE_EPOCH (seconds since 1970) if it is set.",
		Example: "  tuma man share/man/man1",
		Args:    takes("DIR"),
		Hidden:  true,
	}
	c.RunE = a.verb(func(_ context.Context, args []string) error {
		written := time.Now()
		if epoch, err := strconv.ParseInt(a.env["SOURCE_DATE_EPOCH"], 10, 64); err == nil {
			written = time.Unix(epoch, 0).UTC()
		}
		if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
			return misuse("%s is not a folder: make this folder first", args[0])
		}
		root := c.Root()
		root.DisableAutoGenTag = true
		header := &doc.GenManHeader{Title: "TUMA", Section: "1", Source: "tuma " + version, Manual: "Tuma", Date: &written}
		return doc.GenManTree(root, header, args[0])
	})
	return c
}
