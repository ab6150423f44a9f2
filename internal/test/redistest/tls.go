package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// TLSName is the name in the certificate of a server with WithTLS.
const TLSName = "redis.internal"

// WithTLS lets the server also accept TLS connections, at another port, from clients with a certificate of a
// private CA. It writes the files ca.pem, client.pem and client.key into the folder. TLSURL has the address.
func WithTLS(folder string) Option {
	return func(s *Server) {
		s.t.Helper()
		s.tlsPort = anyPort()
		a := authority{folder: folder}
		err := errors.Join(a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}),
			a.issue("server", &x509.Certificate{DNSNames: []string{TLSName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
			a.issue("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
		if err != nil {
			s.t.Fatalf("redistest: certificates: %v", err)
		}
		file := func(name string) string { return filepath.Join(folder, name) }
		WithConfig("tls-port", strconv.Itoa(s.tlsPort), "tls-cert-file", file("server.pem"), "tls-key-file", file("server.key"),
			"tls-ca-cert-file", file("ca.pem"), "tls-auth-clients", "yes")(s)
	}
}

// TLSURL returns the rediss:// URL of a server with WithTLS, with the login of the user that WithUser added, if any.
func (s *Server) TLSURL() string {
	return fmt.Sprintf("rediss://%s127.0.0.1:%d/0", login(s), s.tlsPort)
}

// authority is a certificate authority. Its first certificate belongs to the authority itself.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string, c *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if a.cert == nil {
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	at := filepath.Join(a.folder, name)
	return errors.Join(os.WriteFile(at+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(at+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
}
