// What the tests ask of JupyterLab's own objects; it is put into every page before the page's own code.
window.lab = (() => {
  let panel;  // the notebook, as JupyterLab calls it
  const PATIENCE = 120;  // seconds, as in server.py

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
  const LIGHT = "JupyterLab Light";
  const code = () => panel.content.widgets.filter((cell) => cell.model.type === "code");
  const outputs = () => code().flatMap((cell) => cell.model.outputs.toJSON());

  const started = async () => {
    const app = await until(() => window.jupyterapp);
    await app.restored;
    return app;
  };

  // The notebook and, if there is to be one, the connection to its kernel can be used.
  const ready = async (kernel) => {
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.revealed;
    if (!kernel) return;
    const connection = await until(() => panel.sessionContext.session?.kernel);
    await connection.info;
    await until(() => connection.connectionStatus === "connected");
  };

  const open = async (path, kernel) => {
    await started();
    const kernelPreference = { shouldStart: kernel, autoStartDefault: kernel };
    panel = await command("docmanager:open", { path, factory: "Notebook", kernelPreference });
    await ready(kernel);
  };

  // The notebook that stands in the page's address.
  const find = async () => {
    const app = await started();
    panel = await until(() => app.shell.currentWidget?.sessionContext && app.shell.currentWidget);
    await ready(true);
  };

  const theme = async (name) => {
    await command("apputils:change-theme", { theme: name });
    await until(() => document.body.dataset.jpThemeName === name && !document.querySelector("#jupyterlab-splash"));
  };

  // Whether the page is then as it was before the notebook was opened.
  const close = async () => {
    panel.context.model.dirty = false;  // else it would ask whether to save
    panel.close();
    await until(() => panel.isDisposed);
    if (document.body.dataset.jpThemeName !== LIGHT) await theme(LIGHT);
    const { shell } = window.jupyterapp;
    const others = [...shell.widgets("main")].filter((widget) => widget.context);
    return others.length === 0 && !document.querySelector(".jp-Dialog");
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
    command: (name, args) => within(PATIENCE, name, command(name, args)).then(() => null),
    open: (path, kernel) => within(PATIENCE, `opening ${path}`, open(path, kernel)),
    find: () => within(PATIENCE, "notebook and kernel", find()),
    close: () => within(PATIENCE, "closing the notebook", close()),
    hasKernel: () => Boolean(panel.sessionContext.session?.kernel),
    trusted: () => code().every((cell) => cell.model.trusted),
    startAll: () => void command("notebook:run-all-cells"),

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
    save: () => within(PATIENCE, "saving", panel.context.save()),

    // -> {status: "ok", data} or {status: "error", ename, evalue}
    evaluate: (expression, seconds) => within(seconds, `the kernel's answer to ${expression}`, answer(expression)),

    theme: (name) => within(PATIENCE, `the theme ${name}`, theme(name)),

    // The element is on the screen, all pictures inside are decoded, and what follows from that is painted.
    painted: async (element) => {
      element.scrollIntoView({ block: "nearest" });
      const pictures = [...element.querySelectorAll("img[src]")].map((img) => img.decode().catch(() => null));
      await within(PATIENCE, "pictures", Promise.all([document.fonts.ready, ...pictures]));
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    },
  };
})();
