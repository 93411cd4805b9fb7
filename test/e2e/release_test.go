package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// releaseVariable names the folder of a release, which tools/release-check.sh creates.
const releaseVariable = "ORGAMI_TEST_RELEASE"

// `packer init` accepts goreleaser's files: it finds the version, the checksums and the
// archive by their names, and installs the plugin.
func TestRelease(t *testing.T) {
	dist := os.Getenv(releaseVariable)
	if dist == "" {
		t.Skip(releaseVariable + " is not set: run 'make release-check', which makes the release")
	}
	home := t.TempDir()
	m := newMirror(t, dist)
	p := packer{t: t, binary: binary(t, "ORGAMI_TEST_PACKER"), environment: append(cleanEnvironment(),
		"HOME="+home, "CHECKPOINT_DISABLE=1", "PACKER_CONFIG_DIR="+home, "PACKER_PLUGIN_PATH="+filepath.Join(home, "plugins"),
		"HTTPS_PROXY="+m.proxy, "HTTP_PROXY="+m.proxy, "SSL_CERT_FILE="+m.certificate,
	)}
	folder := write(t, `
packer {
  required_plugins {
    orgami = {
      source  = "github.com/orgami/orgami"
      version = ">= 0.1.0"
    }
  }
}

source "orgami-existing" "golden" {
  region   = "us-east-1"
  image_id = "ami-0123456789abcdef0"
}

build {
  sources = ["source.orgami-existing.golden"]
}
`)
	output, err := p.run(folder, "init", ".")
	if err != nil || !strings.Contains(output, "Installed plugin github.com/orgami/orgami v"+m.version) {
		t.Fatalf("packer init: %v\n%s\nasked for: %s", err, output, strings.Join(m.asked(), "\n"))
	}
	if output, err := p.run(folder, "validate", "."); err != nil {
		t.Errorf("packer validate with the installed plugin: %v\n%s", err, output)
	}
	if output, err := p.run(folder, "plugins", "installed"); err != nil || strings.Count(output, "packer-plugin-orgami_v"+m.version+"_x5.0_") != 1 {
		t.Errorf("packer plugins installed: %v\n%s", err, output)
	}
	for _, name := range []string{"LICENSES.txt", filepath.Join("dist", "packer-plugin-orgami_v"+m.version+"_x5.0_any_sbom.cdx.json")} {
		content, err := os.ReadFile(filepath.Join(dist, "..", name))
		if err != nil || !strings.Contains(string(content), "aws-sdk-go-v2") {
			t.Errorf("%s: %v, %d bytes", name, err, len(content))
		}
	}
}

// mirror replaces the host of the releases on this machine. It is a proxy that directs
// every name to one server, with its own certificate.
type mirror struct {
	version            string
	proxy, certificate string

	mu   sync.Mutex
	urls []string
}

func newMirror(t *testing.T, dist string) *mirror {
	t.Helper()
	var metadata struct {
		Version string `json:"version"`
	}
	content, err := os.ReadFile(filepath.Join(dist, "metadata.json"))
	if err == nil {
		err = json.Unmarshal(content, &metadata)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{version: metadata.Version}
	const repository = "/orgami/packer-plugin-orgami"
	mux := http.NewServeMux()
	mux.HandleFunc("api.github.com/repos"+repository+"/git/matching-refs/tags", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[{"ref": "refs/tags/v%s"}]`, m.version)
	})
	mux.Handle("github.com"+repository+"/releases/download/v"+m.version+"/", http.StripPrefix(repository+"/releases/download/v"+m.version, http.FileServer(http.Dir(dist))))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.urls = append(m.urls, r.Host+r.URL.Path)
		m.mu.Unlock()
		mux.ServeHTTP(w, r) // everything else is not found
	}))
	certificate, key := selfSigned(t, "github.com", "api.github.com", "releases.hashicorp.com")
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tunnel(w, r, server.Listener.Addr().String()) }))
	t.Cleanup(proxy.Close)
	m.proxy, m.certificate = proxy.URL, filepath.Join(t.TempDir(), "certificate.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if err := os.WriteFile(m.certificate, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mirror) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.urls
}

// tunnel answers CONNECT to any host with a connection to the server.
func tunnel(w http.ResponseWriter, r *http.Request, server string) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	to, err := new(net.Dialer).DialContext(context.WithoutCancel(r.Context()), "tcp", server)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	// A client that has read the response may already have sent its next bytes. They
	// are in the buffer, not on the connection.
	from, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = to.Close()
		return
	}
	go func() { _, _ = io.Copy(to, buffered); _ = to.Close() }()
	go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
}
