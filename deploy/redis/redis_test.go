// Package redis tests the configurations of Redis in this folder with real servers.
package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

func TestMain(m *testing.M) { deploytest.Main(m) }

// absolute returns the absolute path of a file in this folder, for a program that runs in another folder.
func absolute(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The function "files" copies redis.conf and users.acl into a new folder, because a Sentinel makes Redis rewrite its
// configuration. It returns the arguments of a redis-server that uses the copies.
func files(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"redis.conf", "users.acl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(deploytest.Read(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{filepath.Join(dir, "redis.conf"), "--aclfile", filepath.Join(dir, "users.acl")}
}

// The function "server" starts a Redis with redis.conf, users.acl and the given further arguments.
func server(t *testing.T, more ...string) string {
	t.Helper()
	return deploytest.Redis(t, append(files(t), more...)...)
}

// The function "check" runs `tuma check` with an account at the sandbox. It fails the test if the command
// fails or warns.
func check(t *testing.T, url string, env ...string) {
	t.Helper()
	sandbox := deploytest.FreeAddress(t)
	dir := t.TempDir()
	deploytest.Start(t, dir, nil, deploytest.Tuma(t), "sandbox", "--listen", sandbox)
	deploytest.Wait(t, "the sandbox", func() bool { return deploytest.Listens(sandbox) })
	config := fmt.Sprintf("accounts: {a: {provider: kobo, base_url: 'http://%s/kobo', user: any, pass: any}}\n", sandbox)
	if err := os.WriteFile(filepath.Join(dir, "tuma.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, status := deploytest.Run(t, dir, append(env, "TUMA_REDIS_URL="+url), deploytest.Tuma(t), "check")
	if status != 0 || strings.Contains(out, "warning") || !strings.Contains(out, "redis          ok") {
		t.Errorf("tuma check of %s: status %d, want 0 and no warning:\n%s", url, status, out)
	}
	if strings.Contains(out, "PASSWORD") {
		t.Errorf("tuma check shows the password:\n%s", out)
	}
}

// TestACL_IsThatOfTheREADME checks that users.acl has the rights that README.md names. CI runs all end-to-end
// tests with these rights.
func TestACL_IsThatOfTheREADME(t *testing.T) {
	t.Parallel()
	var want string
	for line := range strings.Lines(deploytest.Read(t, deploytest.Root+"/README.md")) {
		if rights, ok := strings.CutPrefix(line, "ACL SETUSER "); ok {
			want = "user " + rights
		}
	}
	if acl := deploytest.Read(t, "users.acl"); want == "" || !strings.Contains(acl, "\n"+want) {
		t.Errorf("users.acl lacks the line of README.md:\n%s", want)
	}
}

// TestRedisConf checks that `tuma check` accepts a Redis with redis.conf, but only with the password.
func TestRedisConf(t *testing.T) {
	t.Parallel()
	address := server(t)
	check(t, "redis://tuma:PASSWORD@"+address+"/0")
	cli := deploytest.Tool(t, "redis-cli", "redis-tools")
	_, port, _ := net.SplitHostPort(address)
	for _, c := range []struct{ login, want string }{
		{"", "NOAUTH"},
		{"redis://tuma:wrong@" + address, "WRONGPASS"},
	} {
		args := []string{"-p", port}
		if c.login != "" {
			args = []string{"-u", c.login}
		}
		if out, _ := deploytest.Run(t, t.TempDir(), nil, cli, append(args, "PING")...); !strings.Contains(out, c.want) {
			t.Errorf("PING with the login %q: got %q, want %s", c.login, out, c.want)
		}
	}
	out, _ := deploytest.Run(t, t.TempDir(), nil, cli, "-u", "redis://admin:ADMIN-PASSWORD@"+address, "CONFIG", "GET", "maxmemory*")
	if !strings.Contains(out, "noeviction") || !strings.Contains(out, "2147483648") {
		t.Errorf("got %s, want noeviction and 2 GB", out)
	}
}

// TestTLS checks that with tls.conf, `tuma check` works only with a rediss:// URL.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t)
	text := strings.NewReplacer("port 0\ntls-port 6379\n", "", "/etc/redis/tls/redis.crt", cert, "/etc/redis/tls/redis.key", key, "/etc/redis/tls/ca.crt", ca)
	conf := filepath.Join(t.TempDir(), "tls.conf")
	if err := os.WriteFile(conf, []byte(text.Replace(deploytest.Read(t, "tls.conf"))), 0o600); err != nil {
		t.Fatal(err)
	}
	tls := deploytest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(tls)
	server(t, "--include", conf, "--tls-port", port)
	check(t, "rediss://tuma:PASSWORD@"+tls+"/0", "SSL_CERT_FILE="+ca)
	out, status := deploytest.Run(t, t.TempDir(), []string{"TUMA_REDIS_URL=redis://tuma:PASSWORD@" + tls}, deploytest.Tuma(t), "list")
	if status == 0 {
		t.Errorf("tuma list without TLS succeeded at the TLS port: %s", out)
	}
}

// The function "certificates" writes a CA and a certificate of 127.0.0.1. It returns the paths of the files.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, parentKey = template, key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := sign(root, nil, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	leafDER, leafKey := sign(leaf, root, rootKey)
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.crt", "CERTIFICATE", rootDER), write("redis.crt", "CERTIFICATE", leafDER), write("redis.key", "EC PRIVATE KEY", keyDER)
}

// TestSentinel checks that three Sentinels with sentinel.conf promote a replica after the master is killed,
// and that `tuma check` accepts the new master.
func TestSentinel(t *testing.T) {
	t.Parallel()
	binary := deploytest.Tool(t, "redis-server", "redis-server")
	master := deploytest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(master)
	dir := t.TempDir()
	process := deploytest.Start(t, dir, nil, binary, append(files(t), "--port", port, "--bind", "127.0.0.1", "--dir", dir)...)
	deploytest.Wait(t, "the master", func() bool { return deploytest.Listens(master) })
	for range 2 {
		server(t, "--replicaof", "127.0.0.1 "+port, "--masteruser", "replica", "--masterauth", "REPLICA-PASSWORD")
	}
	var sentinels []string
	for range 3 {
		address := deploytest.FreeAddress(t)
		_, own, _ := net.SplitHostPort(address)
		dir := t.TempDir()
		text := strings.NewReplacer("port 26379", "port "+own, "dir /var/lib/redis", "dir "+dir,
			"monitor tuma 10.0.0.1 6379", "monitor tuma 127.0.0.1 "+port, "milliseconds tuma 5000", "milliseconds tuma 1000")
		conf := filepath.Join(dir, "sentinel.conf")
		if err := os.WriteFile(conf, []byte(text.Replace(deploytest.Read(t, "sentinel.conf"))), 0o600); err != nil {
			t.Fatal(err)
		}
		deploytest.Start(t, dir, nil, binary, conf, "--sentinel")
		sentinels = append(sentinels, address)
	}
	cli := deploytest.Tool(t, "redis-cli", "redis-tools")
	sentinel := func(args ...string) string {
		out, _ := deploytest.Run(t, dir, nil, cli, append([]string{"-u", "redis://" + sentinels[0]}, args...)...)
		return out
	}
	deploytest.Wait(t, "Sentinels that know each other and both replicas", func() bool {
		out := sentinel("SENTINEL", "MASTER", "tuma")
		return strings.Contains(out, "num-other-sentinels\n2\n") && strings.Contains(out, "num-slaves\n2\n")
	})
	url := "redis-sentinel://tuma:PASSWORD@" + strings.Join(sentinels, ",") + "/tuma/0"
	check(t, url)
	process.Stop(t, syscall.SIGKILL)
	deploytest.Wait(t, "a promoted replica", func() bool {
		out := sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tuma")
		return strings.Contains(out, "127.0.0.1") && !strings.Contains(out, port)
	})
	check(t, url)
}

// TestCluster checks that six nodes with cluster.conf form a cluster which `tuma check` accepts.
func TestCluster(t *testing.T) {
	t.Parallel()
	var nodes []string
	for range 6 {
		nodes = append(nodes, server(t, "--include", absolute(t, "cluster.conf"), "--cluster-port", "0"))
	}
	cli := deploytest.Tool(t, "redis-cli", "redis-tools")
	login := []string{"--user", "admin", "--pass", "ADMIN-PASSWORD", "--no-auth-warning"}
	args := append(login, "--cluster", "create")
	args = append(append(args, nodes...), "--cluster-replicas", "1", "--cluster-yes")
	if out, status := deploytest.Run(t, t.TempDir(), nil, cli, args...); status != 0 {
		t.Fatalf("create: %s", out)
	}
	_, port, _ := net.SplitHostPort(nodes[0])
	deploytest.Wait(t, "a cluster that serves all slots, with replicas", func() bool {
		info, _ := deploytest.Run(t, t.TempDir(), nil, cli, append(login, "-p", port, "CLUSTER", "INFO")...)
		list, _ := deploytest.Run(t, t.TempDir(), nil, cli, append(login, "-p", port, "CLUSTER", "NODES")...)
		return strings.Contains(info, "cluster_state:ok") && strings.Count(list, "slave") == 3
	})
	check(t, "redis-cluster://tuma:PASSWORD@"+strings.Join(nodes, ","))
}
