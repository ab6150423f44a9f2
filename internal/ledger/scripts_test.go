package ledger

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/script/scripttest"
)

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, mustSource("prelude"), map[string][]any{
		"archive":            {archiveArgs{}, archivedField{}},
		"claim":              {claimArgs{}},
		"commit":             {commitArgs{}},
		"control":            {controlArgs{}},
		"doubt":              {doubtArgs{}},
		"exclude":            {excludeArgs{}},
		"forget":             {forgetArgs{}, forgetChange{}},
		"index":              {indexArgs{}},
		"move":               {moveArgs{}, movedGenerationArgs{}, newBatchArgs{}},
		"narrow":             {narrowArgs{}},
		"plan_page":          {planPageArgs{}, plannedBatchArgs{}},
		"plan_start":         {planStartArgs{}},
		"purge":              {purgeArgs{}},
		"purge_body":         {purgeBodyArgs{}},
		"quarantine":         {quarantineArgs{}},
		"quarantine_payload": {quarantinePayloadArgs{}},
		"release":            {releaseArgs{}},
		"report":             {reportArgs{}},
		"reschedule":         {rescheduleArgs{}},
		"restore":            {archiveArgs{}, archivedField{}},
		"retry_open":         {retryOpenArgs{}},
		"retry_step":         {retryStepArgs{}},
		"settle":             {settleArgs{}},
		"settle_and_claim":   {sharedArgs{}, nextArgs{}},
		"split":              {splitArgs{}},
		"unindex":            {unindexArgs{}},
		"wake":               {wakeArgs{}},
		"watch":              {watchArgs{}},
		"write_off":          {writeOffArgs{}},
	})
}

func TestScriptsHaveAGoFileOfTheirName(t *testing.T) {
	t.Parallel()
	scripttest.SameNames(t, luaFiles, "prelude")
}
