package main

const pollingFolder = "internal/polling"

// pollMutants break the rules of the requests for delivery reports. These rules set the budget of requests, the
// schedule, the sample of messages, and which process may send a request. A further rule is that one request
// covers all messages of a span of time.
var pollMutants = []mutant{
	{"ask.lua grants every request", one(pollingFolder+"/ask.lua", "redis.call('ZCARD', KEYS[3]) >= tonumber(parts) then", "redis.call('ZCARD', KEYS[3]) >= 100 * tonumber(parts) then"), tests(pollingFolder, "TestPoller_BudgetHoldsInEachSlidingSecond")},
	{"answered.lua frees the budget as soon as the answer is there", one(pollingFolder+"/answered.lua", "redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(window)), request)", "redis.call('ZADD', KEYS[2], string.format('%.0f', now), request)"), tests(pollingFolder, "TestPoller_BudgetHoldsInEachSlidingSecond")},
	{"take.lua leaves a call due that it has leased", one(pollingFolder+"/take.lua", "redis.call('ZADD', calls, int(now + tonumber(lease)), call)", "redis.call('ZADD', calls, int(now), call)"), tests(pollingFolder, "TestPoller_BudgetHoldsInEachSlidingSecond|TestSpans_LateAndRepeatedCalls")},
	{"ask.lua lets a process continue after the end of its lease", one(pollingFolder+"/ask.lua", "local state = redis.call('HGET', KEYS[2], campaign .. ' ' .. call)\nif not state or string.match(state, '(%S+)$') ~= token then", "local state = redis.call('HGET', KEYS[2], campaign .. ' ' .. call)\nif not state then"), tests(pollingFolder, "TestPoller_LostLeaseAsksNothing")},
	{"put.lua puts a call back whose lease has ended", one(pollingFolder+"/put.lua", "if by ~= token then return {'lost'} end\nif tonumber(due) == 0 then", "if not by then return {'lost'} end\nif tonumber(due) == 0 then"), tests(pollingFolder, "TestPoller_LostLeaseAsksNothing")},
	{"put.lua keeps a call after its last step", one(pollingFolder+"/put.lua", "if tonumber(due) == 0 then", "if tonumber(due) < 0 then"), tests(pollingFolder, "TestPoller_FollowsTheSchedule")},
	{"a call goes back to the step that it had", one(pollingFolder+"/queue.go", "for c.Step++; c.Step < len(schedule); c.Step++ {", "for ; c.Step < len(schedule); c.Step++ {"), tests(pollingFolder, "TestCall_NextStep")},
	{"a late call takes the steps that it has missed", one(pollingFolder+"/queue.go", "if at := c.At.Add(schedule[c.Step]); at.After(now) {", "if at := c.At.Add(schedule[c.Step]); at.After(c.At) {"), tests(pollingFolder, "TestCall_NextStep")},
	{"take.lua serves the oldest campaign until it is done", one(pollingFolder+"/take.lua", "redis.call('ZADD', KEYS[1], int(math.max(now, tonumber(first[4] or now + tonumber(lease)))), campaign)", "redis.call('ZADD', KEYS[1], int(tonumber(head[2])), campaign)"), tests(pollingFolder, "TestPoller_IsFairAmongCampaigns")},
	{"each message of a call with a sampled one gets a request", one("internal/ledger/report_poll.go", ` && r.MessageID != "" && taken.Has(to.Row) {`, ` && r.MessageID != "" && taken.Has(c.Call+1) {`), tests(pollingFolder, "TestPoller_SampleBoundsTheRequests")},
	{"the sample has one row more", one("internal/campaign/sample.go", "return x < s.size\n", "return x <= s.size\n"), tests("internal/campaign", "TestSample_HasExactlyItsSize")},
	{"join_span.lua forgets calls that come while the span waits", one(pollingFolder+"/join_span.lua", "redis.call('SADD', calls, call)", "if not waits then redis.call('SADD', calls, call) end"), tests(pollingFolder, "TestSpans_OneRequestServesAllMessages")},
	{"end_span.lua removes calls that came while the span was leased", one(pollingFolder+"/end_span.lua", "if redis.call('EXISTS', KEYS[1] .. ':m:' .. span) == 0 then", "if span then"), tests(pollingFolder, "TestSpans_LateAndRepeatedCalls")},
	{"leave_span.lua takes calls from a process that has the span now", one(pollingFolder+"/leave_span.lua", "local state = redis.call('HGET', KEYS[2], 'span ' .. span)\nif not state or string.match(state, '(%S+)$') ~= token then", "local state = redis.call('HGET', KEYS[2], 'span ' .. span)\nif not state then"), tests(pollingFolder, "TestSpans_LateAndRepeatedCalls")},
	{"a list that is too long ends the step of its span", one(pollingFolder+"/span_poll.go", "case errors.Is(err, providers.ErrReplyTooLong) && part > shortestSpan:", "case errors.Is(err, providers.ErrReplyTooLong) && part < shortestSpan:"), tests(pollingFolder, "TestSpans_LongAndStrangeLists")},
	{"a status in a list counts for another recipient", one(pollingFolder+"/span_poll.go", "if ok = ok && (s.To == 0 || s.To == m.To); ok && s.Status.Final {", "if ok && s.Status.Final {"), tests(pollingFolder, "TestSpans_LongAndStrangeLists")},
}
