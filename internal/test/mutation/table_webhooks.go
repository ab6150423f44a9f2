package main

const webhookGo = "internal/webhook/"

// webhookMutants break two kinds of rules. The first kind ensures that each event reaches an endpoint in order. The
// second kind prevents requests to private addresses.
var webhookMutants = []mutant{
	{"a webhook connects to whatever the second look-up of a name returns", one(webhookGo+"guard.go", "dialer.Control = refusePrivate\n\t\tdial = func(ctx context.Context, network, address string) (net.Conn, error) {", "dialer.Control = nil\n\t\tdial = func(ctx context.Context, network, address string) (net.Conn, error) {"), tests("internal/webhook", "TestGuard_ReachesNothingPrivate")},
	{"a webhook connects although a name has a private address", one(webhookGo+"guard.go", "if !public(a) {\n\t\t\treturn errPrivate", "if !a.IsValid() {\n\t\t\treturn errPrivate"), tests("internal/webhook", "TestGuard_ReachesNothingPrivate")},
	{"an IPv4 address inside an IPv6 address is not seen", one(webhookGo+"guard.go", "a = a.Unmap()", "_ = a"), tests("internal/webhook", "TestPublic_Addresses")},
	{"webhooks follow redirects", one(webhookGo+"guard.go", "return http.ErrUseLastResponse", "return nil"), tests("internal/webhook", "TestSend_Answers")},
	{"commit.lua writes without the lease", one(webhookGo+"commit.lua", "if redis.call('GET', KEYS[1]) ~= token then return {'lost'} end", ""), tests("internal/webhook", "TestDeliver_LostLease")},
	{"an event overtakes the one of its campaign that waits", one(webhookGo+"pick.go", "if len(p.behind[m.order]) == 0 {\n\t\tp.attempts", "if len(p.attempts) == 0 {\n\t\tp.attempts"), tests("internal/webhook", "TestDeliver_ReceiverDownAnHour|TestDeliver_BoundedWaiting|TestDeliver_OneBadMessage")},
	{"the cursor passes an event that failed", one(webhookGo+"deliver.go", "changes = append(changes, c)\n\t\tif c.Action == actionDead {", "if !a.fresh {\n\t\t\tchanges = append(changes, c)\n\t\t}\n\t\tif c.Action == actionDead {"), tests("internal/webhook", "TestDeliver_ReceiverDownAnHour")},
	{"a receiver that answered 410 gets further messages", one(webhookGo+"deliver.go", "if st.gone == e.fingerprint() {", "if st.gone == e.URL {"), tests("internal/webhook", "TestDeliver_GoneEndsUntilEnabled")},
	{"the signature is that of another time", one(webhookGo+"sign.go", "mac.Write([]byte(id + \".\" + stamp + \".\"))", "mac.Write([]byte(id + \".\" + stamp))"), tests("internal/webhook", "TestDeliver_SignedAndOnlyWhatIsWanted")},
}
