package main

const (
	cardLua     = "internal/accounts/card.lua"
	settingsLua = "internal/accounts/settings.lua"
	enqueueGo   = "producer/enqueue.go"
)

// accountMutants break the code for three things: the settings that all workers share, the enqueueing
// without a running worker, and the use of an account's slots.
var accountMutants = []mutant{
	{"the card of a worker that started earlier replaces the card in force", one(cardLua, "local changed = mine >= current and (old[1]", "local changed = (old[1]"),
		tests("internal/accounts", "TestPublishAll_TheLastStartDecides")},
	{"the settings of a worker that started earlier replace those in force", one(settingsLua, "local changed = mine >= current and old[1] ~= settings", "local changed = old[1] ~= settings"),
		tests("internal/accounts", "TestPublishAll_TheLastStartDecides")},
	{"the revision does not grow when settings in force change", one(settingsLua, "if changed or cards == '1' then redis.call('HINCRBY'", "if cards == '1' then redis.call('HINCRBY'"),
		tests("internal/accounts", "TestPublishAll_TheLastStartDecides")},
	{"a worker publishes its cards before its settings", one("internal/accounts/settings.go",
		"answer, err := s.publishSettings(ctx, args)\n\tif err != nil {\n\t\treturn InForce{}, err\n\t}\n\tout, changed, err := s.publishCards(",
		"answer := make([]string, 4)\n\tout, changed, err := s.publishCards("),
		tests("internal/accounts", "TestPublishAll_SettingsComeBeforeCards")},
	{"a client does not use the accounts that it knows", one("producer/known.go", "return c.withSettings(ctx, known.stored())", "return a, published, missing"),
		tests("producer", "TestWithAccounts_UsedUntilAWorkerPublishes")},
	{"a failed enqueue leaves its upload", one(enqueueGo, "return Receipt{}, errors.Join(err, u.Discard(context.WithoutCancel(ctx)))", "return Receipt{}, err"),
		tests("producer", "TestEnqueue_InterruptedUploadLeavesNoKeys")},
	{"a start at the present moment is in the past", one("producer/check.go", "m.past(\"start_at\", campaign.StartAt, now.Add(-startTolerance))", "m.past(\"start_at\", campaign.StartAt, now.Add(time.Microsecond))"),
		tests("producer", "TestEnqueue_StartAtTheMomentIsNow")},
	{"the status of a campaign does not name a queue that is paused with asynq's tools", one("producer/paused_queue.go", "if since, ok := paused[name]; ok {", "if since, ok := paused[name]; ok && since.IsZero() {"),
		tests("producer", "TestStatus_NamesAQueueThatAsynqPaused")},
	{"a redis.Ring is accepted", one("internal/script/client.go", "\tcase *redis.Ring:\n\t\treturn errors.New(", "\tcase *redis.Ring:\n\t\t_ = errors.New("),
		tests("producer", "TestNew_RefusesClientsThatLoseOrDelayData")},
	{"a worker accepts a provider without a fingerprint", one("providers/info.go", "wrong(\"fingerprint is empty: set it to a hash of provider, base URL and user\")", ""),
		tests("worker", "TestNew_RefusesInvalidInfosAllAtOnce")},
	{"a small campaign is cut into batches without regard to the slots", one("internal/planning/account.go", "return min(most, (calls+batches-1)/batches)", "return min(most, calls+batches-1)"),
		tests("internal/planning", "TestAccount_SmallCampaignUsesAllSlots")},
}
