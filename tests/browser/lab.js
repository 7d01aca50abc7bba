// What the tests ask of JupyterLab's own objects; it is put into every page before the page's own code.
window.lab = (() => {
  let panel;  // the notebook, as JupyterLab calls it

  const within = (seconds, what, promise) => Promise.race([
    promise,
    new Promise((_, fail) => setTimeout(() => fail(new Error(`${what}: not within ${seconds} s`)), 1000 * seconds)),
  ]);

  const until = async (found) => {
    for (;;) {
      const value = found();
      if (value) return value;
      await new Promise((again) => setTimeout(again, 50));
    }
  };

  const command = (name, args = {}) => window.jupyterapp.commands.execute(name, args);
  const code = () => panel.content.widgets.filter((cell) => cell.model.type === "code");
  const outputs = () => code().flatMap((cell) => cell.model.outputs.toJSON());

  const started = async () => {
    const app = await until(() => window.jupyterapp);
    await app.restored;
    return app;
  };

  // The page, the notebook and, if there is to be one, the connection to its kernel can be used.
  const ready = async (kernel) => {
    const app = await started();
    panel = await until(() => app.shell.currentWidget?.sessionContext && app.shell.currentWidget);
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.revealed;
    if (!kernel) return;
    const connection = await until(() => panel.sessionContext.session?.kernel);
    await connection.info;
    await until(() => connection.connectionStatus === "connected");
  };

  const answer = async (expression) => {
    const request = { code: "", silent: true, store_history: false, user_expressions: { value: expression } };
    for (;;) {
      const reply = await panel.sessionContext.session.kernel.requestExecute(request).done;
      if (reply.content.status === "ok") return reply.content.user_expressions.value;
      // "aborted": it waited behind a cell that raised or was interrupted, so ask again
    }
  };

  return {
    command: (name, args) => within(60, name, command(name, args)).then(() => null),
    ready: (kernel) => within(90, "notebook and kernel", ready(kernel)),
    hasKernel: () => Boolean(panel.sessionContext.session?.kernel),
    trusted: () => code().every((cell) => cell.model.trusted),
    startAll: () => void command("notebook:run-all-cells"),

    open: (path) => within(60, `open ${path}`, started().then(() => command("docmanager:open", {
      path, factory: "Notebook", kernelPreference: { shouldStart: false, autoStartDefault: false },
    }))).then(() => null),

    runAll: async (seconds) => {
      await within(seconds, "the end of the last cell", command("notebook:run-all-cells"));
      return outputs().filter((o) => o.output_type === "error").map((o) => o.traceback.join("\n"));
    },

    run: async (index, seconds) => {
      panel.content.deselectAll();
      panel.content.activeCellIndex = panel.content.widgets.indexOf(code()[index]);
      await within(seconds, `the end of cell ${index}`, command("notebook:run-cell"));
      const own = code()[index].model.outputs.toJSON();
      return own.filter((o) => o.output_type === "error").map((o) => o.traceback.join("\n"));
    },

    source: (index) => code()[index].model.sharedModel.getSource(),
    setSource: (index, text) => code()[index].model.sharedModel.setSource(text),
    save: () => within(60, "saving", panel.context.save()),

    // -> {status: "ok", data} or {status: "error", ename, evalue}
    evaluate: (expression, seconds) => within(seconds, `the kernel's answer to ${expression}`, answer(expression)),

    theme: async (name) => {
      await command("apputils:change-theme", { theme: name });
      const shown = () => document.body.dataset.jpThemeName === name && !document.querySelector("#jupyterlab-splash");
      await within(30, `the theme ${name}`, until(shown));
    },

    // The element is on the screen, all pictures inside are decoded, and what follows from that is painted.
    painted: async (element) => {
      element.scrollIntoView({ block: "nearest" });
      const pictures = [...element.querySelectorAll("img[src]")].map((img) => img.decode().catch(() => null));
      await within(30, "pictures", Promise.all([document.fonts.ready, ...pictures]));
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    },
  };
})();
