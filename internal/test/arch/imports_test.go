package main

import (
	"slices"
)

// This file has all rules about imports. To add a folder, a dependency or a permission, add or
// change a rule here and give the reason. Then run
//
//	go test ./internal/test/arch -run Imports -update
//
// which writes the table of folders in docs/architecture.md. The rules apply to product code. A
// test may import any package except banned libraries.

// folderRule names the folders of this module that the code in one folder may import.
type folderRule struct {
	// folder is a path from the root, or a pattern of path.Match. In a pattern, "*" stands for any
	// characters except "/". For example, providers/* matches the gateways. If a folder has a rule
	// with its full path, no pattern applies to this folder.
	folder string
	what   string   // what the folder contains, for the table
	may    []string // the folders that its code may import; nil means none
	// importers are the folders that may import this folder. nil means every folder whose own rule
	// allows the import. onlyTests means that only tests may import this folder.
	importers []string
	why       string // the reason for the rule, which a failure message contains
}

const all = "..."

var (
	everything = []string{all}
	onlyTests  = []string{}
)

// folderRules begins with the lowest folder. A rule may allow imports only of folders listed before
// its own folder. Its importers are folders listed after its own folder. So all imports lead to an
// earlier folder of the list, and two folders cannot import each other. The value "everything"
// means all folders listed before the rule's own folder.
var folderRules = []folderRule{
	{folder: "sms", what: "numbers, sender IDs, segments and merge fields; does no I/O",
		why: "every other folder uses sms, so it must not depend on any of them"},
	{folder: "ratelimit", what: "one rate limiter interface, with a Redis and a local implementation",
		why: "a limiter counts tokens and time; it must be usable without messages"},
	{folder: "providers/internal/dial", what: "a hook with which tests refuse connections to other machines",
		importers: []string{"providers/httpclient", "providers/providertest"},
		why:       "the hook is for the HTTP policy and its tests, not for gateways"},
	{folder: "providers", what: "the contract of a gateway: what it can do, its settings, and the outcomes of a call",
		may: []string{"sms"},
		why: "a gateway must be implementable without a queue, Redis or our HTTP client"},
	{folder: "providers/httpclient", what: "the HTTP policy of all gateways, and readers of forms, JSON and callbacks",
		may:       []string{"sms", "providers", "providers/internal/dial"},
		importers: []string{"providers/*", "providers/providertest", "producer/producertest"},
		why:       "it must know no gateway; worker and producer know gateways by the contract only"},
	{folder: "providers/*", what: "the gateways, one folder each",
		may: []string{"providers", "providers/httpclient", "sms"},
		why: "a gateway must be removable by deleting its folder, so gateways do not import each other"},
	{folder: "internal/simulator", what: "serves simulated gateways, counts their messages, and injects faults",
		why: "a simulated gateway that shared code with its client would share its mistakes"},
	{folder: "internal/simulator/simulatortest", what: "starts a simulator for its tests, and sends requests to it",
		may:       []string{"internal/simulator"},
		importers: onlyTests,
		why:       "tests of a simulator must not use our clients"},
	{folder: "providers/*/*sim", what: "the simulators of the gateways, each beside its client",
		may:       []string{"internal/simulator"},
		importers: []string{"providers/catalog"},
		why:       "a simulator that shared code with its client would share its mistakes; only the catalog connects the two"},
	{folder: "providers/catalog", what: "the list of all gateways: the client and the simulator of each",
		may:       []string{"providers", "providers/*", "internal/simulator", "providers/*/*sim"},
		importers: []string{"cmd/tuma", "internal/config", "internal/demo", "internal/dev", "internal/test/bench", "internal/test/chaos"},
		why:       "the catalog links every gateway, so only programs may import it"},
	{folder: "providers/providertest", what: "the conformance suite that every gateway must pass",
		may:       []string{"providers", "sms", "internal/simulator", "providers/internal/dial"},
		importers: onlyTests,
		why:       "the suite checks the contract, so it must not depend on a particular gateway"},
	{folder: "internal/campaign", what: "what a campaign is: spec, plan, statuses, counts and reasons, without Redis",
		may: []string{"sms", "providers"},
		why: "planning and verdicts are made of these types, and must work without Redis"},
	{folder: "internal/prefix", what: "puts the keys of Tuma and asynq in Redis under a prefix",
		why: "one place decides which commands may be sent under a prefix"},
	{folder: "internal/script", what: "runs Lua scripts in Redis, and waits until their changes are durable",
		may: []string{"internal/prefix"},
		why: "every package with scripts uses it, so it must not know what the scripts do"},
	{folder: "internal/script/scripttest", what: "checks the Lua files of a package against its Go code",
		importers: onlyTests, why: "the checks read source files, so programs must not link them"},
	{folder: "internal/events", what: "the event stream in Redis",
		may: []string{"internal/script"},
		why: "every package that changes something can write an event, so it must not know what changed"},
	{folder: "internal/accounts", what: "account cards, holds, the circuit breaker and balances, in Redis",
		may: []string{"providers", "internal/campaign", "internal/script"},
		why: "an account has other keys and another lifetime than a campaign"},
	{folder: "internal/optout", what: "the suppression lists in Redis",
		may: []string{"sms", "internal/campaign", "internal/script", "internal/events"},
		why: "a suppression list belongs to a sender, not to a campaign"},
	{folder: "internal/inbox", what: "incoming messages in Redis, and opt-out and opt-in words",
		may: []string{"sms", "internal/script", "internal/optout", "internal/events"},
		why: "it stores what subscribers send, and does not depend on gateways and campaigns"},
	{folder: "internal/attempts", what: "what a gateway may have taken, by login, in Redis",
		may: []string{"internal/campaign", "internal/script"},
		why: "attempts are kept by login, not by campaign"},
	{folder: "internal/ledger", what: "campaigns, batches and results in Redis, and the Lua scripts that change them",
		may: []string{"internal/attempts", "internal/optout", "internal/accounts", "internal/script", "sms", "providers", "internal/campaign"},
		why: "the ledger is the source of truth and must not depend on the queue or a limiter"},
	{folder: "internal/keys", what: "keys of the HTTP API: scopes, limits, their hashes in Redis", may: []string{"internal/script"},
		importers: []string{"internal/usage", "internal/sweep", "worker", "internal/server/api", "cmd/tuma"},
		why:       "a key has a meaning only at the HTTP API; the sweeper gives cancelled messages back to it"},
	{folder: "internal/usage", what: "what was sent in each month, by account, sender ID and key, in Redis",
		may: []string{"internal/accounts", "internal/keys", "internal/script", "internal/campaign", "internal/ledger"},
		why: "it sums up what the ledger has, so the ledger must not depend on it"},
	{folder: "internal/planning", what: "assigns recipients to accounts and batches; worker and preview share it",
		may: []string{"sms", "internal/campaign"},
		why: "planning takes its input as arguments, so that a preview works without a queue or a worker"},
	{folder: "internal/hours", what: "time zones of countries, and sending hours",
		why: "it computes with clocks and countries only"},
	{folder: "internal/moment", what: "reads times as people write them",
		importers: []string{"cmd/tuma"},
		why:       "it computes with the clock and the zone that it is passed; programs that embed producer pass times"},
	{folder: "internal/queue", what: "task types and queue names that producer and worker share",
		may: []string{"sms", "providers"},
		why: "tasks are pointers into the ledger, so the queue must not depend on its records"},
	{folder: "producer", what: "the library that enqueues and controls campaigns",
		may: []string{"internal/optout", "internal/inbox", "internal/events", "internal/accounts", "internal/prefix", "internal/script", "sms", "providers", "internal/campaign", "internal/ledger", "internal/usage", "internal/queue", "internal/planning", "internal/hours"},
		why: "other programs embed it, so it must contain no gateway and no credentials; it shows the facts in providers.Info"},
	{folder: "internal/verdict", what: "decides what the answer to a call means for the call, its account and its campaign",
		may: []string{"providers", "internal/campaign"},
		why: "a verdict is decided from its arguments only, so that every answer can be tested"},
	{folder: "internal/drain", what: "the signals with which a worker stops",
		why: "every part of a worker waits for these signals"},
	{folder: "internal/outage", what: "recognises errors that say that Redis does not answer, or serves no commands at the moment",
		why: "every part of a worker asks it whether an error is worth a log line"},
	{folder: "internal/redisguard", what: "checks Redis, detects a Redis that restarted, and replays settles to it",
		may: []string{"internal/prefix", "internal/script", "internal/ledger", "internal/drain", "internal/outage"},
		why: "it protects claims and settles, and need not know why they are made"},
	{folder: "internal/pacing", what: "the turns of calls: rate, calls in flight, slow start and shares",
		may: []string{"internal/accounts", "ratelimit", "internal/campaign", "internal/ledger", "internal/verdict", "internal/drain", "internal/outage"},
		why: "it counts units and time; it must be testable without batches"},
	{folder: "internal/balance", what: "reads the credit of accounts from their gateways",
		may: []string{"internal/accounts", "providers", "internal/campaign", "internal/ledger", "internal/outage"},
		why: "probes, reports and a timer read balances, so it must not depend on batches"},
	{folder: "internal/reconcile", what: "finds out which messages of a doubtful call a gateway has taken",
		may: []string{"internal/attempts", "sms", "providers", "internal/campaign", "internal/ledger", "internal/verdict"},
		why: "it knows one login and its calls, not the batches that they belong to"},
	{folder: "internal/tracking", what: "delivery reports: the index of message IDs, parked reports, and the match with recipients",
		may: []string{"internal/attempts", "sms", "internal/script", "providers", "internal/campaign", "internal/ledger", "internal/reconcile", "internal/outage"},
		why: "the worker indexes and the server matches, so it must depend on neither"},
	{folder: "internal/polling", what: "asks gateways for delivery reports: the queue of calls, the budget and the schedule",
		may: []string{"internal/script", "providers", "ratelimit", "internal/campaign", "internal/ledger", "internal/outage", "internal/tracking"}, why: "the worker adds calls and the server asks, so it must depend on neither"},
	{folder: "internal/tracing", what: "the spans of enqueues, planning, batches and calls, with the API of OpenTelemetry only",
		importers: []string{"internal/wake", "internal/announce", "internal/plantask", "internal/dispatch", "worker", "internal/tracing/otlp", "internal/server/api", "cmd/tuma"},
		why:       "programs that embed producer link no tracing, and those that embed worker link no exporter"},
	{folder: "internal/tracing/otlp", what: "sends spans to a collector, with OpenTelemetry's SDK",
		may: []string{"internal/tracing"}, importers: []string{"cmd/tuma", "internal/test/bench"}, why: "programs that embed worker bring their own exporter"},
	{folder: "internal/wake", what: "queues the wake-ups of batches and of planning",
		may: []string{"internal/campaign", "internal/ledger", "internal/queue", "internal/tracing"},
		why: "every part of a worker may open batches, so it must not depend on any of them"},
	{folder: "internal/quarantine", what: "sets unreadable records aside",
		may: []string{"internal/campaign", "internal/ledger", "internal/queue", "internal/pacing", "internal/wake"},
		why: "the sweeper and the send loop both meet unreadable records"},
	{folder: "internal/announce", what: "logs campaigns, holds and pauses once for all workers",
		may: []string{"internal/accounts", "internal/campaign", "internal/ledger", "internal/events", "internal/tracing"},
		why: "planning, the send loop and the sweeper all see the end of a campaign, and one of them logs it"},
	{folder: "internal/census", what: "counts what waits, for all workers together, and how many workers are needed",
		may: []string{"providers", "internal/campaign", "internal/script", "internal/accounts", "internal/ledger"},
		why: "scrapes of every process read it, so it must not depend on the sweeper that takes it"},
	{folder: "internal/sweep", what: "the sweeper: lost wake-ups, failover, probes of held accounts, and retention",
		may: []string{"internal/accounts", "internal/script", "providers", "internal/campaign", "internal/ledger", "internal/keys", "internal/usage", "internal/queue", "internal/planning", "internal/pacing", "internal/redisguard", "internal/tracking",
			"internal/wake", "internal/quarantine", "internal/announce", "internal/outage", "internal/census"},
		why: "it repairs what is in Redis, so it must not depend on the send loop"},
	{folder: "internal/pipeline", what: "runs the steps of a sequence ahead of their consumer",
		why: "it moves values of any type, so it must not depend on any"},
	{folder: "internal/plantask", what: "runs the planning of a campaign: reads its pages, and commits what planning decides",
		may: []string{"internal/optout", "internal/accounts", "sms", "internal/script", "internal/campaign", "internal/ledger", "internal/queue", "internal/planning", "internal/drain", "internal/pacing",
			"internal/wake", "internal/announce", "internal/sweep", "internal/pipeline", "internal/tracing"},
		importers: []string{"worker"},
		why:       "it plans, and leaves it to the worker to send the first batch"},
	{folder: "internal/statusevent", what: "events about the statuses of recipients, written apart from the settles",
		may:       []string{"internal/script", "internal/events", "internal/tracking", "internal/wake"},
		importers: []string{"internal/dispatch", "worker", "cmd/tuma"},
		why:       "the send loop and the server note statuses, and neither waits for the stream"},
	{folder: "internal/blacklist", what: "which numbers that a gateway calls blacklisted are added to our suppression lists",
		may:       []string{"internal/optout", "sms", "providers", "internal/campaign", "internal/ledger", "internal/verdict", "internal/outage", "internal/tracking", "internal/wake"},
		importers: []string{"internal/dispatch", "worker", "cmd/tuma"},
		why:       "the worker has the answers to calls, and the server the delivery reports"},
	{folder: "internal/dispatch", what: "the send loop: sends the calls of a batch",
		may: []string{"internal/optout", "internal/accounts", "internal/script", "sms", "providers", "ratelimit", "internal/campaign", "internal/ledger", "internal/queue", "internal/planning", "internal/hours", "internal/verdict",
			"internal/drain", "internal/outage", "internal/redisguard", "internal/pacing", "internal/balance", "internal/reconcile", "internal/tracking", "internal/polling", "internal/wake", "internal/statusevent", "internal/blacklist", "internal/quarantine", "internal/announce", "internal/tracing"},
		importers: []string{"worker"},
		why:       "it decides about one batch at a time, and must not depend on the sweeper"},
	{folder: "internal/metrics", what: "every metric: names, help and labels, and the collectors",
		may:       []string{"internal/campaign", "internal/census"},
		importers: []string{"worker", "cmd/tuma"},
		why:       "the parts that know the facts count through small interfaces, so that they work without metrics"},
	{folder: "worker", what: "runs a worker: configuration, planning, and the send loop and sweeper of its accounts",
		may: []string{"internal/attempts", "internal/optout", "internal/accounts", "internal/prefix", "internal/script", "sms", "providers", "ratelimit", "internal/campaign", "internal/ledger", "internal/keys", "internal/usage", "internal/queue", "internal/planning", "internal/hours", "internal/drain",
			"internal/outage", "internal/redisguard", "internal/pacing", "internal/balance", "internal/reconcile", "internal/tracking", "internal/polling", "internal/wake", "internal/statusevent", "internal/blacklist", "internal/quarantine", "internal/announce", "internal/sweep",
			"internal/plantask", "internal/dispatch", "internal/census", "internal/metrics", "internal/tracing"},
		why: "its gateways are passed in, and it learns of the producer's work from the ledger only"},
	{folder: "producer/producertest", what: "a test double of Tuma for tests of programs that embed producer",
		may:       []string{"producer", "worker", "providers", "providers/httpclient", "sms"},
		importers: onlyTests,
		why:       "it uses the public packages only, as the programs that import it do"},
	{folder: "internal/xlsx", what: "streams the rows of an Excel workbook, and writes one",
		importers: []string{"internal/recipients", "cmd/tuma"},
		why:       "it knows sheets and cells only, so that a library can replace it"},
	{folder: "internal/recipients", what: "reads recipients from CSV, JSON Lines and XLSX files",
		may:       []string{"sms", "producer", "internal/xlsx"},
		importers: []string{"cmd/tuma", "internal/demo", "internal/test/bench", "internal/server/api"},
		why:       "programs that embed producer must not link file readers"},
	{folder: "internal/webhook", what: "posts events to the HTTP servers of other programs: signatures, retries, and a guard of private addresses",
		may: []string{"providers", "internal/accounts", "internal/script", "internal/events", "producer"}, importers: []string{"internal/config", "internal/server/api", "cmd/tuma"}, why: "a program that embeds producer reads events itself"},
	{folder: "internal/config", what: "reads and checks tuma.yaml",
		may:       []string{"internal/webhook", "internal/inbox", "internal/accounts", "internal/prefix", "internal/script", "sms", "providers", "providers/catalog", "ratelimit", "worker", "internal/campaign", "internal/ledger", "internal/hours"},
		importers: []string{"cmd/tuma", "internal/demo", "internal/dev"},
		why:       "several commands share the configuration, so it must not depend on a command line; libraries are passed their settings"},
	{folder: "internal/console", what: "formats output: tables, CSV, charts, progress bars, numbers, times and money",
		importers: []string{"cmd/tuma", "internal/demo", "internal/localredis", "internal/dev", "internal/report", "internal/server/api"},
		why:       "it formats numbers and text, so it must be usable without campaigns"},
	{folder: "internal/report", what: "summarizes the results of a campaign",
		may:       []string{"sms", "producer", "internal/console"},
		importers: []string{"cmd/tuma", "internal/server/api"},
		why:       "the command and the HTTP API show one report; it needs only what producer yields"},
	{folder: "internal/process", what: "starts, stops and kills child processes",
		importers: []string{"internal/localredis", "internal/demo", "internal/test/bench", "internal/test/chaos", "internal/test/redistest"},
		why:       "the demo and the rigs start processes that must not outlive them; sending needs no other process"},
	{folder: "internal/localredis", what: "runs a Redis on this machine: the redis-server on PATH, or a built-in one",
		may:       []string{"internal/console", "internal/process"},
		importers: []string{"internal/demo", "internal/dev"},
		why:       "a user's own Redis is configured, not started; only tuma demo and tuma dev start one"},
	{folder: "internal/demo", what: "tuma demo: a campaign through a simulated gateway, with a worker that is killed",
		may:       []string{"sms", "producer", "internal/simulator", "providers/catalog", "internal/recipients", "internal/config", "internal/console", "internal/process", "internal/localredis"},
		importers: []string{"cmd/tuma"},
		why:       "it uses Tuma as a program that embeds producer does, and starts workers as separate processes"},
	{folder: "internal/dev", what: "tuma dev: a Redis that keeps its data, the sandbox and a worker, on fixed ports",
		may:       []string{"worker", "internal/simulator", "providers/catalog", "internal/config", "internal/console", "internal/localredis"},
		importers: []string{"cmd/tuma", "internal/test/readme"},
		why:       "it is passed its worker, so that it never connects to a real gateway by itself"},
	{folder: "internal/server", what: "tuma serve: the doors for gateways' callbacks, and health checks",
		may:       []string{"sms", "providers", "internal/optout", "internal/inbox", "producer"},
		importers: []string{"cmd/tuma"},
		why:       "programs that embed producer or worker must not link an HTTP server; what a door stores, producer stores"},
	{folder: "internal/audit", what: "who changed what: a bounded stream in Redis", may: []string{"internal/script"},
		importers: []string{"internal/server/api", "cmd/tuma"}, why: "a library cannot know who calls it"},
	{folder: "internal/forget", what: "removes the number of one person from Redis",
		may:       []string{"internal/accounts", "internal/events", "internal/inbox", "internal/ledger", "internal/optout", "internal/script", "internal/tracking", "sms"},
		importers: []string{"cmd/tuma"}, why: "it reads and changes what many packages store, so nothing may depend on it"},
	{folder: "internal/server/api", what: "the HTTP API of tuma serve: operations, OpenAPI document, problems",
		may:       []string{"producer", "internal/keys", "internal/audit", "internal/webhook", "internal/recipients", "internal/report", "internal/console", "internal/outage", "internal/tracing"},
		importers: []string{"cmd/tuma"},
		why:       "the API does what a Go program can do with producer"},
	{folder: "cmd/tuma", what: "the command line program",
		may: everything, why: "it connects all packages"},
	{folder: "internal/test/redistest", what: "starts a redis-server for a test",
		may:       []string{"internal/process"},
		importers: []string{"internal/test/bench"},
		why:       "tests of every package use it, so it must not depend on code that they test"},
	{folder: "internal/test/dirtylist", what: "generates recipient lists with mistakes, and their expected results",
		importers: []string{"internal/test/bench"},
		why:       "a generator that used our parsers would only make mistakes that they expect"},
	{folder: "internal/test/e2e", what: "tests of all parts together",
		may: everything, importers: onlyTests, why: "it tests all packages together"},
	{folder: "internal/test/bench", what: "measures throughput and latency",
		may: everything, importers: onlyTests, why: "it measures all packages together"},
	{folder: "internal/test/chaos", what: "injects faults into running workers, and audits every recipient",
		may: everything, importers: onlyTests, why: "it breaks all packages together"},
	{folder: "internal/test/mutation", what: "breaks the code in known ways, and checks that a test fails",
		importers: onlyTests,
		why:       "it edits the source files of our packages, so it must not be built from them"},
	{folder: "internal/test/arch", what: "checks of imports, arrows between files, comments, lengths and goroutine leaks, as tests",
		importers: onlyTests,
		why:       "a check must not depend on the code that it checks"},
	{folder: "internal/test/readme", what: "runs the commands of README.md, and compares their output",
		importers: onlyTests,
		why:       "a check must not depend on the code that it checks"},
	{folder: "internal/test/reasons", what: "explains every reason and code, and writes docs/reasons.md",
		may: everything, importers: onlyTests, why: "it compares the page with the code of all packages"},
	{folder: "internal/test/testreport", what: "summarizes the output of go test",
		importers: onlyTests,
		why:       "a check must not depend on the code that it checks"},
	{folder: "internal/test/words", what: "counts phrases that readers stumble over in comments and messages",
		importers: onlyTests,
		why:       "a check must not depend on the code that it checks"},
	{folder: "deploy/archive", what: "writes tar and zip files whose bytes depend only on their contents",
		importers: []string{"deploy/image", "deploy/dist", "deploy/kubernetes"}, why: toolsOfDeploy},
	{folder: "deploy/gobuild", what: "builds the command for other systems, and its SBOM",
		importers: []string{"deploy/image", "deploy/dist", "deploy/deploytest"}, why: toolsOfDeploy},
	{folder: "deploy/deploytest", what: "runs Tuma and Redis as processes, for tests of what deploys them",
		may: []string{"deploy/gobuild"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/schemas", what: "the schemas of the objects that the chart makes: Kubernetes, KEDA, Prometheus operator, External Secrets",
		importers: []string{"deploy/manifests", "deploy/kubernetes"}, why: toolsOfDeploy},
	{folder: "deploy/kubernetes", what: "runs the chart in a real Kubernetes on one machine, and breaks nodes and workers",
		may: []string{"deploy/archive", "deploy/schemas"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/manifests", what: "tests of the Helm chart and of the kustomize folders",
		may: []string{"deploy/deploytest"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/compose", what: "tests of the trial with Docker Compose",
		may: []string{"deploy/deploytest"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/prometheus", what: "tests of the rules, alerts, runbooks and the dashboard",
		may: []string{"deploy/deploytest"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/redis", what: "tests of the configurations of Redis",
		may: []string{"deploy/deploytest"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/image", what: "builds the container image",
		may: []string{"deploy/archive", "deploy/gobuild"}, importers: onlyTests, why: toolsOfDeploy},
	{folder: "deploy/dist", what: "builds archives and packages",
		may: []string{"deploy/archive", "deploy/gobuild"}, importers: onlyTests, why: toolsOfDeploy},
}

// The constant "exports" is a reason in a message of the test. It is the reason why only one folder may use
// OpenTelemetry's SDK.
const exports = "programs that embed worker bring their own exporter"

// The constant "toolsOfDeploy" is a reason in a message of the test. It is the reason why no other folder may import
// the folders of the module deploy.
const toolsOfDeploy = "the tools that build images and packages are a separate module"

// libraryRule names the folders that may import a package directly. The package is in another module or
// in the standard library. The rule also applies to packages below its path. If several rules
// match, the rule with the longest path applies.
type libraryRule struct {
	path string
	// The field "in" lists the folders whose code may import the package. nil means that only tests may
	// import the package.
	in     []string
	exact  bool // the rule does not apply to packages below the path
	banned bool // not even tests may import the package
	why    string
}

// reachRule lists what a folder must not import, directly or through other packages. A path that
// ends in a slash stands only for the packages below it.
type reachRule struct {
	folder    string
	forbidden []string
	why       string
}

var withoutRedis = []string{"github.com/redis/", "github.com/hibiken/", "github.com/alicebob/", module + "/internal/", module + "/ratelimit"}

var withoutRedisOrLedger = []string{"github.com/redis/", "github.com/hibiken/", "github.com/alicebob/", module + "/internal/ledger", module + "/ratelimit"}

var reachRules = []reachRule{
	{"sms", []string{"net", "os/exec", "database/sql", "github.com/redis/", "github.com/rs/"}, "it does no I/O"},
	{"providers", withoutRedis, "a gateway must be implementable without a queue or Redis"},
	{"providers/catalog", withoutRedis, "no gateway may use a queue or Redis"},
	{"internal/campaign", withoutRedisOrLedger, "planning and verdicts are made of its types, and must work without Redis"},
	{"internal/planning", withoutRedisOrLedger, "a preview must work without Redis, a queue or a worker"},
	{"internal/verdict", withoutRedisOrLedger, "every answer of a gateway must be testable without Redis"},
	{"internal/simulator", []string{module + "/"}, "simulated gateways must not share code with their clients"},
	// This rule also protects internal/test/redistest, because internal/process is the only folder of
	// this module that redistest imports.
	{"internal/process", []string{module + "/", "github.com/"}, "tests of every package use redistest, which depends on it"},
	{"internal/config", []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/jedib0t/", "github.com/schollz/", "golang.org/x/term"},
		"other programs than the command line may read the configuration"},
	{"producer", unwanted, "programs that embed it must not link what they do not need"},
	{"worker", slices.Concat(forPeople, forTests, []string{module + "/producer", module + "/providers/", module + "/cmd"}),
		"programs that embed it must not link what they do not need"},
}

// exceptions lists, by folder, packages that the folder may depend on although its reachRule
// forbids them.
var exceptions = map[string][]string{
	"providers/catalog": {module + "/internal/simulator"}, // internal/simulator depends on no other package of this module
}
