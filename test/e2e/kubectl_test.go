package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// cluster is the part of a Kubernetes API server that kubectl needs to patch a class and
// to watch node claims.
type cluster struct {
	config string // a file for KUBECONFIG

	mu    sync.Mutex
	class map[string]any
}

// newCluster serves a cluster with the class.
func newCluster(t *testing.T, classFile string) *cluster {
	t.Helper()
	content, err := os.ReadFile(classFile)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{config: filepath.Join(t.TempDir(), "kubeconfig")}
	if err := json.Unmarshal(content, &c.class); err != nil {
		t.Fatal(err)
	}
	c.class["metadata"].(map[string]any)["name"] = "default"
	const class, claims = "/apis/karpenter.k8s.aws/v1", "/apis/karpenter.sh/v1"
	routes := http.NewServeMux()
	routes.HandleFunc("GET /api", answer(`{"kind":"APIVersions","versions":["v1"]}`))
	routes.HandleFunc("GET /api/v1", answer(`{"kind":"APIResourceList","groupVersion":"v1","resources":[]}`))
	routes.HandleFunc("GET /apis", answer(`{"kind":"APIGroupList","apiVersion":"v1","groups":[`+apiGroup("karpenter.k8s.aws")+`,`+apiGroup("karpenter.sh")+`]}`))
	routes.HandleFunc("GET "+class, answer(apiResource("karpenter.k8s.aws/v1", "ec2nodeclasses", "EC2NodeClass")))
	routes.HandleFunc("GET "+claims, answer(apiResource("karpenter.sh/v1", "nodeclaims", "NodeClaim")))
	routes.HandleFunc("GET "+claims+"/nodeclaims", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			answer(`{"kind":"NodeClaimList","apiVersion":"karpenter.sh/v1","metadata":{"resourceVersion":"1"},"items":[]}`)(w, r)
		} // a watch ends without events
	})
	routes.HandleFunc("GET "+class+"/ec2nodeclasses/default", c.serve)
	routes.HandleFunc("PATCH "+class+"/ec2nodeclasses/default", c.patch)
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	mustWriteText(t, c.config, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, server.URL))
	return c
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

func apiGroup(name string) string {
	version := fmt.Sprintf(`{"groupVersion":"%s/v1","version":"v1"}`, name)
	return fmt.Sprintf(`{"name":%q,"versions":[%s],"preferredVersion":%s}`, name, version, version)
}

func apiResource(version, plural, kind string) string {
	return fmt.Sprintf(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[{"name":%q,"kind":%q,"namespaced":false,"verbs":["get","list","patch","watch"]}]}`, version, plural, kind)
}

func (c *cluster) serve(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c.class)
}

// patch takes a JSON merge patch (RFC 7386).
func (c *cluster) patch(w http.ResponseWriter, r *http.Request) {
	var patch map[string]any
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		http.Error(w, "not a merge patch", http.StatusUnsupportedMediaType)
		return
	}
	c.mu.Lock()
	c.class = merged(c.class, patch)
	c.mu.Unlock()
	c.serve(w, r)
}

func merged(object, patch map[string]any) map[string]any {
	result := maps.Clone(object)
	if result == nil {
		result = map[string]any{}
	}
	for name, value := range patch {
		inner, isObject := value.(map[string]any)
		old, _ := result[name].(map[string]any)
		switch {
		case value == nil:
			delete(result, name)
		case isObject:
			result[name] = merged(old, inner)
		default:
			result[name] = value
		}
	}
	return result
}

// selected is the ID of the image that the class's first term selects.
func (c *cluster) selected() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	spec, _ := c.class["spec"].(map[string]any)
	terms, _ := spec["amiSelectorTerms"].([]any)
	if len(terms) == 0 {
		return ""
	}
	term, _ := terms[0].(map[string]any)
	id, _ := term["id"].(string)
	return id
}
