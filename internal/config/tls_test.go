package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// authority is a certificate authority whose certificates are in files of a folder.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.cert, a.key = a.issue(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// The method "issue" writes a key to NAME.key, and a certificate for the key to NAME.pem. The authority signs the
// certificate. The first certificate belongs to the authority itself and is self-signed.
func (a *authority) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.ok(err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	a.ok(err)
	secret, err := x509.MarshalECPrivateKey(key)
	a.ok(err)
	a.ok(os.WriteFile(filepath.Join(a.dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	a.ok(os.WriteFile(filepath.Join(a.dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	made, err := x509.ParseCertificate(der)
	a.ok(err)
	return made, key
}

func (a *authority) ok(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func TestTLS_PrivateCAAndClientCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
	ca.issue("server", &x509.Certificate{DNSNames: []string{"redis.internal"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.issue("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	other.issue("stranger", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ca.ok(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ca.ok(err)
	ca.ok(l.Close())
	file := func(name string) string { return filepath.Join(dir, name) }
	redistest.Start(t, redistest.WithConfig("tls-port", port, "tls-cert-file", file("server.pem"), "tls-key-file", file("server.key"),
		"tls-ca-cert-file", file("ca.pem"), "tls-auth-clients", "yes"))
	read := func(section string) *Config {
		t.Helper()
		text := fmt.Sprintf("redis: {url: 'rediss://127.0.0.1:%s/0', tls: {%s}}\n", port, section)
		c, err := Parse(file("tuma.yaml"), []byte(text), environment())
		ca.ok(err)
		return c
	}
	const right = "ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: redis.internal"
	c := read(right)
	open, err := ParseRedis(c.Redis.URL)
	ca.ok(err)
	rdb := open(1, c.Redis.TLS)
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("a client with everything: %v", err)
	}
	for name, section := range map[string]string{
		"everything":               right,
		"another CA":               "ca_file: other.pem, cert_file: client.pem, key_file: client.key, server_name: redis.internal",
		"the CAs of the system":    "cert_file: client.pem, key_file: client.key, server_name: redis.internal",
		"another name":             "ca_file: ca.pem, cert_file: client.pem, key_file: client.key",
		"no client certificate":    "ca_file: ca.pem, server_name: redis.internal",
		"a stranger's certificate": "ca_file: ca.pem, cert_file: stranger.pem, key_file: stranger.key, server_name: redis.internal",
	} {
		if err := pingOver(t.Context(), "127.0.0.1:"+port, read(section).Redis.TLS); (err == nil) != (section == right) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pingOver sends one PING without go-redis, because after a failure go-redis would dial again in the background.
func pingOver(ctx context.Context, address string, t TLS) error {
	d := tls.Dialer{Config: t.Config(&tls.Config{ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 7)
	_, err = io.ReadFull(conn, answer) // in TLS 1.3 the server refuses a client only after the handshake
	return err
}

func TestTLS_MistakesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	newAuthority(t, dir, "other")
	ca.ok(os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	for section, want := range map[string][]string{
		"ca_file: none.pem, cert_file: ca.pem":                   {"ca_file: cannot be read", "cert_file: needs key_file too"},
		"ca_file: ca.key, key_file: ca.key":                      {"ca_file: has no certificate", "key_file: needs cert_file too"},
		"cert_file: ca.pem, key_file: other.key, ca_file: empty": {"cert_file: must be a certificate in PEM form that belongs to key_file", "empty"},
		"ca: ca.pem": {"unknown key; known keys: ca_file"},
	} {
		_, err := Parse(filepath.Join(dir, "tuma.yaml"), []byte("redis: {url: 'rediss://h:1/0', tls: {"+section+"}}\n"), environment())
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want it to contain %q", section, err, w)
			}
		}
	}
	_, err := Parse(filepath.Join(dir, "tuma.yaml"), []byte("redis: {url: 'redis://h:1/0', tls: {ca_file: ca.pem}}\n"), environment())
	if err == nil || !strings.Contains(err.Error(), "rediss://") {
		t.Errorf("a URL without TLS: got %v", err)
	}
	c, err := Parse(filepath.Join(dir, "tuma.yaml"), []byte("redis: {url: 'redis://h:1/0', tls: {ca_file: ca.pem}}\n"), environment("TUMA_REDIS_URL", "rediss://h:1/0"))
	if err != nil || c.Redis.TLS == (TLS{}) {
		t.Errorf("with a TLS URL in the environment: %v", err)
	}
}
