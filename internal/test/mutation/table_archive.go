package main

const archiveLua = "internal/ledger/archive.lua"

// archiveMutants break the archive, in which an ended message keeps its status in a shorter form.
var archiveMutants = []mutant{
	{"archive.lua archives a message that has changed", one(archiveLua, "if not is_same(L, tonumber(fields)) or not is_same(KEYS[6], tonumber(delays)) then", "if not is_same(KEYS[6], tonumber(delays) * 0) then"), tests("internal/ledger", "TestArchive_ChangedMeanwhile")},
	{"archive.lua drops fields that are new", one(archiveLua, "if redis.call('HLEN', key) ~= count then return false end", ""), tests("internal/ledger", "TestArchive_ChangedMeanwhile")},
	{"archive.lua archives a message with open work", one(archiveLua, "redis.call('EXISTS', O, KEYS[4]) > 0 or ", ""), tests("internal/ledger", "TestArchive_ChangedMeanwhile")},
	{"archive.lua drops a report that came meanwhile", one(archiveLua, "(redis.call('GET', KEYS[5]) or '') ~= overlay", "false"), tests("internal/ledger", "TestArchive_ChangedMeanwhile")},
	{"archive.lua keeps the full form", one(archiveLua, "redis.call('UNLINK', L, KEYS[3], KEYS[5], KEYS[6])", ""), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"restore.lua keeps the archive", one("internal/ledger/restore.lua", "redis.call('DEL', KEYS[4])", ""), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"restore.lua forgets the delivery report", one("internal/ledger/restore.lua", "if overlay ~= '' then redis.call('SET', KEYS[5], overlay) end", ""), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"commit.lua sends an archived message again", one("internal/ledger/commit.lua", "local old = redis.call('GET', KEYS[5])", "local old = redis.call('GET', KEYS[5])\nif old and string.byte(old) < 45 then old = nil end"), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"commit.lua compares the whole content hash", one("internal/ledger/commit.lua", "#hash >= 24 and string.sub(content, 1, #hash) == hash", "content == hash"), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"late settles of an archived message are dropped", one("internal/ledger/ledger.go", "again, failed := restore(ctx, l, id, upload)", "again, failed := false, error(nil)"), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"late reports about an archived message are dropped", one("internal/ledger/report.go", `words[0] == "missing" && try < restoreTries`, `words[0] == "missing" && try < 0`), tests("internal/ledger", "TestArchive_AnswersAsTheFullForm")},
	{"a message whose outcome is unknown is archived", one("internal/ledger/archive.go", "for _, name := range []string{fieldRetry, fieldPending, fieldUnknown, fieldInFlight, fieldQuarantined, fieldQuarantinedWork, fieldExclusions} {",
		"for _, name := range []string{fieldRetry, fieldPending, fieldInFlight, fieldQuarantined, fieldQuarantinedWork, fieldExclusions} {"), tests("internal/ledger", "TestArchive_OnlyWhatHasEnded")},
	{"a cancelled message is archived", one("internal/ledger/archive.go", "f[fieldStop] == campaign.ReasonCancelled || ", ""), tests("internal/ledger", "TestArchive_OnlyWhatHasEnded")},
	{"what was counted of a single message is forgotten", one("internal/usage/count.lua", "alone or KEYS[3] and redis.call('HGET', KEYS[3], id)", "alone"), tests("internal/usage", "TestCount_OfSingleMessages")},
	{"what was counted of a message is forgotten with the message", one("internal/usage/outlive.lua", "redis.call('SET', KEYS[1], state, 'PX', life)", ""), tests("internal/usage", "TestCount_OfSingleMessages")},
	{"a reader misses a message that is restored while it reads", one("internal/ledger/archive_read.go", "if !f.full || try == restoreTries {\n\t\t\treturn got[:len(names)], nil", "if try > 0 {\n\t\t\treturn got[:len(names)], nil"), tests("internal/ledger", "TestArchive_AtAnyMoment")},
}
