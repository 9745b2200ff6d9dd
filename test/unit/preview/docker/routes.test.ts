import { describe, expect, it } from "vitest";
import { backendRoutes, routeLabels } from "../../../../src/preview/docker/routes.ts";

const origins = { cloud: "https://pr-1.preview.example.com", site: "https://pr-1-site.preview.example.com" };
const options = { id: "convex-preview-12345678-pr-1", network: "proxy" };

describe("routeLabels", () => {
  it("makes one router and one service a route for Traefik, over TLS", () => {
    expect(routeLabels("traefik", backendRoutes(origins), options)).toEqual({
      "traefik.enable": "true",
      "traefik.docker.network": "proxy",
      "traefik.http.routers.convex-preview-12345678-pr-1-3210.rule": "Host(`pr-1.preview.example.com`)",
      "traefik.http.routers.convex-preview-12345678-pr-1-3210.service": "convex-preview-12345678-pr-1-3210",
      "traefik.http.routers.convex-preview-12345678-pr-1-3210.tls": "true",
      "traefik.http.services.convex-preview-12345678-pr-1-3210.loadbalancer.server.port": "3210",
      "traefik.http.routers.convex-preview-12345678-pr-1-3211.rule": "Host(`pr-1-site.preview.example.com`)",
      "traefik.http.routers.convex-preview-12345678-pr-1-3211.service": "convex-preview-12345678-pr-1-3211",
      "traefik.http.routers.convex-preview-12345678-pr-1-3211.tls": "true",
      "traefik.http.services.convex-preview-12345678-pr-1-3211.loadbalancer.server.port": "3211",
    });
  });

  it("names a certificate resolver where one is given", () => {
    const labels = routeLabels("traefik", backendRoutes(origins), { ...options, certResolver: "le" });
    expect(labels["traefik.http.routers.convex-preview-12345678-pr-1-3210.tls.certresolver"]).toBe("le");
  });

  it("makes one site a route for Caddy, on the network that both are on", () => {
    expect(routeLabels("caddy", backendRoutes(origins), options)).toEqual({
      caddy_ingress_network: "proxy",
      caddy_0: "pr-1.preview.example.com",
      "caddy_0.reverse_proxy": "{{upstreams 3210}}",
      caddy_1: "pr-1-site.preview.example.com",
      "caddy_1.reverse_proxy": "{{upstreams 3211}}",
    });
  });
});
