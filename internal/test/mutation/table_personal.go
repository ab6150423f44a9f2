package main

const streamGo = "internal/planning/stream.go"

// personalMutants break campaigns with merge fields, in which each recipient may have a
// different text.
var personalMutants = []mutant{
	{"planning adds recipients to a full call", one(streamGo, "\tdelete(l.open, c.Body)\n", ""), partition},
	{"planning puts recipients with different texts into one call", one(streamGo, "i, ok := l.open[body]\n\tif !ok {\n\t\tc := campaign.Call{", "i, ok := 0, len(l.calls) > 0\n\tif !ok {\n\t\tc := campaign.Call{"), partition},
	{"planning routes a text to an account that cannot send it", one("internal/planning/route.go", "case !p.frozen.Accounts[n].AcceptsBody(body):", "case false:"), partition},
	{"planning does not count the segments of carried-over recipients", one("internal/planning/planner.go", "\t\t\tp.segments += len(c.To) * segmentsOf(body)\n", ""), partition},
	{"the texts of carried-over recipients exceed their size limit", one("internal/planning/planner.go", "for sum > campaign.MaxBodies {", "for sum < 0 {"),
		tests("worker", "TestMergeFields_NoRecordOver64KB")},
	{"planning never stops carrying over recipients with a rare text", one("internal/planning/planner.go", "l.calls[0].To[0].Row <= next-campaign.CarryRows", "l.calls[0].To[0].Row < 0*next"),
		tests("internal/planning", "TestPlan_NoRecipientWaitsForLong")},
	{"the row index assumes that batches are in the order of rows", one("internal/ledger/row_index.go", "\t\tif err := f.build(ctx, n); err != nil {\n\t\t\treturn Row{}, false, err\n\t\t}\n",
		"\t\tf.index = []uint32{}\n"), tests("internal/ledger", "TestResults_OrderedWhenBatchesAreNot")},
	{"failover gives a moved recipient the text of another call", one("internal/ledger/move.go", "appendTo(going[a], p, g.gen.Body, f.Accounts[a])", "appendTo(going[a], p, m.gens[0].gen.Body, f.Accounts[a])"),
		model},
	{"every call of a batch gets the text of its first call", one("internal/ledger/batch.go", "\treturn b.Bodies[k]\n", "\treturn b.Bodies[0]\n"), model},
	{"an upload page with merge field values is marked as a page without values", one("internal/ledger/codec_personalized.go", "\tout[0] += formatOwn\n", ""), tests("internal/ledger", "TestUploadPage_ValuesRoundTrip")},
	{"strict mode accepts a blank value of a merge field", one("producer/personal.go", "if p.strict {\n\t\tp.countMissing(r.Line)", "if false {\n\t\tp.countMissing(r.Line)"),
		tests("producer", "TestEnqueue_MissingFieldsAreRefusedFirst")},
	{"the content hash leaves out the references", one("internal/ledger/upload.go", "\tu.digest.Add(input, values...)\n\tu.digest.AddRef(ref)\n", "\tu.digest.Add(input, values...)\n"), tests("internal/ledger", "TestRefs_ArePartOfTheContent")},
	{"the content hash leaves out the values of merge fields", one("internal/ledger/upload.go", "for _, v := range values {\n\t\td.buf = binary.AppendUvarint(", "for _, v := range values[:0] {\n\t\td.buf = binary.AppendUvarint("),
		tests("producer", "TestEnqueue_UsedFieldsAreTheContent")},
}

// partition is a test of planning. Planning must put every recipient into exactly one call.
var partition = tests("internal/planning", "TestPlan_CallsPartitionTheRecipients")
