package main

import (
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
)

// newRoot returns the tuma command with all its subcommands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "tuma",
		Short: "Send text messages in bulk, each of them once",
		Long: `Tuma (Swahili for "send") sends text messages to large recipient lists through
SMS gateways. It keeps within each gateway's limits, loses no message, and sends
no message twice unless you ask for it.

'tuma send' puts a campaign into the queue in Redis. 'tuma worker' sends it.
'tuma dev' runs all that a first campaign needs, without a gateway account.
'tuma demo' shows on this machine that no message is lost or sent twice.

The configuration file is --config, else $TUMA_CONFIG, else ./tuma.yaml.
Commands that only need Redis also work without a file. They use
$TUMA_REDIS_URL, else ` + config.DefaultRedisURL + `.

Exit status: 0 done; 1 failed; 2 wrong usage, input or configuration; 3 (with
--wait) the campaign ended, or was paused or cancelled, and not all recipients
were accepted.`,
		Args:          noSubcommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "configuration `file` (default: $TUMA_CONFIG, else ./tuma.yaml)")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(printUsage)
	root.AddGroup(
		&cobra.Group{ID: groupCampaigns, Title: "Campaigns:"},
		&cobra.Group{ID: groupAccounts, Title: "Accounts:"},
		&cobra.Group{ID: groupRunning, Title: "Running Tuma:"},
	)
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			root.AddCommand(v)
		}
	}
	add(groupCampaigns, newSend(a), newStatus(a), newList(a), newResults(a), newReport(a), newFind(a), newPause(a), newResume(a), newCancel(a), newReschedule(a), newRetry(a), newPurge(a), newForget(a), newMessage(a), newOptOut(a), newInbox(a), newEvents(a))
	add(groupAccounts, newAccounts(a), newHold(a), newRelease(a), newRate(a), newGateway(a), newBalance(a))
	add(groupRunning, newWorker(a), newServe(a), newKeys(a), newAudit(a), newCheck(a), newDev(a), newSandbox(a), newDemo(a), newVersion(a), newMan(a))
	root.SetHelpCommandGroupID(groupRunning)
	root.SetCompletionCommandGroupID(groupRunning)
	setHelpCommand(root)
	return root
}

const (
	groupCampaigns = "campaigns"
	groupAccounts  = "accounts"
	groupRunning   = "running"
)
