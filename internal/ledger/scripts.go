package ledger

import (
	"embed"

	"github.com/tuma-sms/tuma/internal/script"
)

// Each script is a Lua file. Go puts prelude.lua in front of most scripts. Scripts that must run even on
// a full Redis are made with alwaysAllowed, because outcomes at a gateway must be written.

//go:embed *.lua
var luaFiles embed.FS

func mustSource(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("ledger: " + err.Error())
	}
	return string(b)
}

func campaignScript(name string) *script.Script {
	return script.New(name, mustSource("prelude")+mustSource(name))
}

func plainScript(name string) *script.Script { return script.New(name, mustSource(name)) }

func alwaysAllowed(name string) *script.Script {
	return script.NewAlwaysAllowed(name, mustSource("prelude")+mustSource(name))
}

// binding marks a script whose changes must be durable before its caller continues.
func binding(s *script.Script) *script.Script { return script.Binding(s) }

var (
	commitScript         = binding(campaignScript("commit"))
	planStartScript      = campaignScript("plan_start")
	planPageScript       = campaignScript("plan_page")
	claimScript          = binding(campaignScript("claim"))
	wakeScript           = campaignScript("wake")
	watchScript          = plainScript("watch")
	topUpScript          = campaignScript("top_up")
	retryOpenScript      = binding(campaignScript("retry_open"))
	retryStepScript      = binding(campaignScript("retry_step"))
	purgeScript          = campaignScript("purge")
	purgeBodyScript      = alwaysAllowed("purge_body")
	formScript           = script.NewAlwaysAllowed("form", mustSource("form")) // no prelude, because form.lua only reads
	archiveScript        = alwaysAllowed("archive")                            // it frees memory
	restoreScript        = alwaysAllowed("restore")                            // a late outcome must be written even to a full Redis
	forgetScript         = alwaysAllowed("forget")
	quarantineScript     = campaignScript("quarantine")
	writeOffScript       = binding(campaignScript("write_off"))
	settleAndClaimScript = binding(plainScript("settle_and_claim")) // no prelude, because running the prelude takes longer than the script itself
	doubtScript          = binding(alwaysAllowed("doubt"))
	releaseScript        = binding(alwaysAllowed("release"))
	splitScript          = binding(alwaysAllowed("split"))
	moveScript           = campaignScript("move") // need not be binding, because the next claim of a moved recipient also makes the move durable
	settleScript         = binding(alwaysAllowed("settle"))
	reportScript         = binding(alwaysAllowed("report"))
	excludeScript        = binding(alwaysAllowed("exclude"))
	narrowScript         = alwaysAllowed("narrow") // need not be binding, because the claim that follows also makes the changes of narrow.lua durable
	controlScript        = binding(alwaysAllowed("control"))
	rescheduleScript     = binding(alwaysAllowed("reschedule"))

	quarantinePayloadScript = plainScript("quarantine_payload")
	indexScript             = binding(plainScript("index"))
	unindexScript           = plainScript("unindex")
)
