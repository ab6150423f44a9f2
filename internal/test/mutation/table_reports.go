package main

const (
	reportLua  = "internal/ledger/report.lua"
	trackingGo = "internal/tracking/"
)

// reportMutants break the rules that ensure that each delivery report is applied once and
// never lost.
var reportMutants = []mutant{
	{"report.lua trusts a proof whatever Redis has", one(reportLua, "if not holds(b, k, length, g, settled) then", "if not b then"), tests("internal/ledger", "TestReports_ProofOfAForgottenSettle")},
	{"report.lua applies a report to a recipient that has a final one", one(reportLua, "if string.byte(redis.call('GETRANGE', key, offset, offset)) ~= 0 then return 'repeated' end", ""), tests("internal/ledger", "TestReports_FinalStatusNeverChanges")},
	{"a proof holds for another message ID", one("internal/ledger/report_proof.go", " || p.ids[position] != hash {", " || hash == 0 {"), tests("internal/ledger", "TestReports_ProofOfAForgottenSettle")},
	{"message IDs of dead workers are not entered", one(trackingGo+"noted.go", "case now.Sub(at) >= leftFor:", "case now.Sub(at) < 0:"), tests("internal/tracking", "TestEnterLeft_EntersWhatADeadWorkerNoted")},
	{"the notes of entered calls are not removed", one(trackingGo+"note.go", "x.rdb.HDel(ctx, notedKey(login), tokens...).Err()", "error(nil)"), tests("internal/tracking", "TestEnterLeft_EntersWhatADeadWorkerNoted")},
	{"calls that could not be entered are forgotten", one(trackingGo+"noted.go", "t.waiting.notes, t.waiting.ids = append(t.waiting.notes, notes...), append(t.waiting.ids, ids...)", "_ = ids"), tests("internal/tracking", "TestNote_RefusedIDsAreEnteredLater")},
	{"reports that came before the index had their IDs are not applied with it", one(trackingGo+"noted.go", "if err == nil && n > 0 {\n\t\tt.applyParked(ctx, ids)", "if err == nil && n < 0 {\n\t\tt.applyParked(ctx, ids)"), tests("internal/tracking", "TestFlush_AppliesReportsThatCameBeforeIt")},
	{"place.lua opens a segment for every batch", one(trackingGo+"place.lua", "next_place, opened, till = 0, now, later()", "next_place, opened, till = 0, now, 0"), tests("internal/tracking", "TestEnter_ManyCallsTogether")},
}
